"""Which cell of a manifest fills which input of a workflow."""
