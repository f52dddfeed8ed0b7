"""Clients that do the work of a benchmark; each runs in the process that is measured."""
