"""Opus's names: those of the stages of a job, as events, timings and errors use them, and its domain."""

from __future__ import annotations

from opus_async.platform import Stages

VENDOR_DOMAIN = "opus.com"
SCHEMA = "schema"
UPLOAD = "upload"
INITIATE = "initiate"
EXECUTE = "execute"
WATCH = "watch"
RESULTS = "results"
PRESIGN = "presign"
STAGES = Stages(
    bind=SCHEMA,
    prepare=UPLOAD,
    create=INITIATE,
    start=EXECUTE,
    watch=WATCH,
    collect=RESULTS,
    parts={"presign": PRESIGN},
)
