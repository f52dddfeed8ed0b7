"""Operativus's names for the stages of a job, as events, timings and errors use them."""

INPUT = "input"
LOGIN = "login"
SESSION = "session"
RUN = "run"
WATCH = "watch"
OUTPUTS = "outputs"
