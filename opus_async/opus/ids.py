"""Ids as callers give them: by themselves, with spaces around, or as the link of a page of Opus."""

from __future__ import annotations

from typing import TypeVar

from opus_async.opus.protocol.pasted_ids import IdKind, id_in

GivenT = TypeVar("GivenT")


def workflow_id_in(given: GivenT) -> GivenT:
    """Return the workflow id in a text; what is no text comes back as it is.

    Raises:
        InvalidInputs: It is a link that names no workflow.
    """
    return id_in(given, IdKind.WORKFLOW)


def job_id_in(given: GivenT) -> GivenT:
    """Return the job id in a text; what is no text comes back as it is.

    Raises:
        InvalidInputs: It is a link that names no job.
    """
    return id_in(given, IdKind.JOB)
