"""HTML pages and SVG charts that load and run nothing, whatever they are about."""
