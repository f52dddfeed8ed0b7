"""Reads ``samples.jsonl``: whoever wrote it, each line is checked, and what is wrong is told by its line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from opus_async import text
from opus_async.errors import LoadRefused
from opus_async.layout import SAMPLES
from opus_async.load.values import Sample

_LONGEST = 1_000_000
"""Bytes of a line that is read: one of ours has some hundreds."""


class _Line(BaseModel):
    """A line, as it has to be; fields of later releases are left out."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    index: int
    job_id: str | None
    status: str | None
    intended: float
    started: float
    ended: float
    stages: dict[str, Annotated[float, Field(ge=0)]]
    detect_lag: float | None
    measured: bool


def read_samples(directory: Path) -> Iterator[Sample]:
    """Yield the samples of a load run.

    Raises:
        LoadRefused: The file is not there, cannot be read, or a line of it is no sample; the message says
            which, and what is wrong.
    """
    path = directory / SAMPLES
    number = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(_LONGEST):
                number += 1
                yield _sample(f"{SAMPLES} of {text.quoted(directory)}, line {number}", line)
    except OSError as error:
        raise LoadRefused(f"{SAMPLES} of {text.quoted(directory)} cannot be read: {error.strerror}") from None


def _sample(where: str, line: bytes) -> Sample:
    if not line.endswith(b"\n"):
        if len(line) == _LONGEST:
            raise LoadRefused(f"{where}: it is longer than any sample")
        raise LoadRefused(f"{where}: it is cut short, so the run was not written to its end")
    try:
        found = _Line.model_validate_json(line)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in problem["loc"])
        raise LoadRefused(f"{where}: {f'{field}: ' if field else ''}{problem['msg']}") from None
    if found.ended < found.started:
        raise LoadRefused(f"{where}: the job ended before it was started")
    return Sample(**{name: getattr(found, name) for name in _Line.model_fields})
