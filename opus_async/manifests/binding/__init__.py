"""From rows of a manifest to requests of jobs: which cell fills which input."""
