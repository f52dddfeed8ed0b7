"""Opus's names for the stages of a job, as events, timings and errors use them."""

SCHEMA = "schema"
UPLOAD = "upload"
INITIATE = "initiate"
EXECUTE = "execute"
WATCH = "watch"
RESULTS = "results"
