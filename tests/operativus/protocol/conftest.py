"""Answers as the wire gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from opus_async.wire.messages import ApiResponse

URL = "https://operativus.invalid/api/v1/workflows?secret=query"


def make_answer(body: Any = b"", status: int = 200, **more: Any) -> ApiResponse:
    """An answer of bytes as they are, of anything else as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ApiResponse(**{"url": URL, "status": status, "body": raw, **more})


@pytest.fixture
def answer() -> Callable[..., ApiResponse]:
    return make_answer
