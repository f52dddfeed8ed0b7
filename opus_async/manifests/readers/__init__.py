"""One reader for each format of a manifest: each streams records and never loads a file whole."""
