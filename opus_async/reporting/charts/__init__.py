"""Charts as SVG: axes, frames and marks."""
