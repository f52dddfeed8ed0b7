"""Operativus's names for the stages of a job, as events, timings and errors use them."""

from __future__ import annotations

from opus_async.platform import Stages

INPUT = "input"
LOGIN = "login"
SESSION = "session"
RUN = "run"
WATCH = "watch"
OUTPUTS = "outputs"
STAGES = Stages(bind=INPUT, prepare=LOGIN, create=SESSION, start=RUN, watch=WATCH, collect=OUTPUTS)
