"""Names of stages that every platform's jobs have in events and timings, besides the platform's own."""

DONE = "done"
"""The job ended."""
PAUSED = "parked"
"""The job waits for a person and holds no slot."""
