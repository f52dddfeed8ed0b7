"""Names of stages that every platform's jobs have in events and timings, besides the platform's own."""

DONE = "done"
"""The job ended."""
PAUSED = "parked"
"""It rests until a person acts."""
