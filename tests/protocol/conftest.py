"""Answers and workflows as the wire gives them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from opus_async.models import InputField, Workflow
from opus_async.opus.protocol.payload import BoundInputs, FileFacts, bind
from opus_async.opus.protocol.v0 import V0
from opus_async.wire.messages import ApiResponse

MAX_BYTES = 10 * 1024 * 1024


def make_answer(body: Any = b"", status: int = 200, **headers: str) -> ApiResponse:
    """An answer of bytes as they are, of anything else as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ApiResponse(status=status, body=raw, headers=named, url="https://opus.invalid/job/1?secret=query")


def make_workflow(*inputs: InputField) -> Workflow:
    return Workflow(
        workflow_id="w", inputs=MappingProxyType({given.variable_name: given for given in inputs})
    )


def make_input(kind: str = "str", name: str = "Value", variable: str = "v", **more: Any) -> InputField:
    return InputField(variable_name=variable, display_name=name, type=kind, **more)


class Disk:
    """An inspector that knows the sizes of files by name; every other source is its own bytes."""

    def __init__(self, sizes: Mapping[str, int] | None = None) -> None:
        self.sizes = sizes
        self.asked: list[tuple[Any, str | None]] = []

    def __call__(self, source: Any, filename: str | None) -> FileFacts:
        self.asked.append((source, filename))
        name = filename or str(source).rpartition("/")[2]
        if self.sizes is not None and name not in self.sizes:
            raise ValueError(f"the file '{name}' does not exist")
        return FileFacts(name, 1 if self.sizes is None else self.sizes[name], source)


Bind = Callable[..., BoundInputs]


@pytest.fixture
def v0() -> V0:
    return V0()


@pytest.fixture
def answer() -> Callable[..., ApiResponse]:
    return make_answer


@pytest.fixture
def field() -> Callable[..., InputField]:
    return make_input


@pytest.fixture
def workflow() -> Callable[..., Workflow]:
    return make_workflow


@pytest.fixture
def disk() -> type[Disk]:
    return Disk


@pytest.fixture
def bound() -> Bind:
    """Bind values to inputs of a workflow, on a disk where every file has one byte."""

    def bound(
        fields: list[InputField], inputs: Mapping[str, Any], inspect: Disk | None = None
    ) -> BoundInputs:
        return bind(make_workflow(*fields), inputs, inspect=inspect or Disk(), max_file_bytes=MAX_BYTES)

    return bound
