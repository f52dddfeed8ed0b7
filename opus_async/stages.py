"""Names of stages that every platform's jobs have in events and timings, besides the platform's own."""

DONE = "done"
"""The job ended."""
PAUSED = "parked"
"""The job waits for a person and holds no slot."""
CLIENT_WAIT = "client_wait"
"""Not a stage but the time before the first: the job waits for one of ``Limits.max_in_flight`` slots."""
REQUEST_WAIT = "request_wait"
"""Not a stage but a part taken out of all of them: the job's requests wait for their turn in this client, for
a slot, a rate or the end of the pause after a 429."""
