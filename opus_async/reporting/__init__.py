"""HTML pages and SVG charts that load and run nothing, for any kind of report."""
