"""The description of the API: `openapi.json`, OpenAPI 3.1, of both generations and what was seen beside them.

The vendor publishes none. This one is written by hand and shipped as package data; a simulator serves it at
`OPENAPI_PATH` without a key, under its own address. Nothing here is generated from the endpoints, and no
endpoint is built from it, so that tests can hold each against the other.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from opus_async.simulator.answers import Answer, to_json

OPENAPI_PATH = "/openapi.json"


def document() -> dict[str, Any]:
    """Return the description as JSON values; the caller may change them."""
    described: dict[str, Any] = json.loads(document_bytes())
    return described


def document_bytes() -> bytes:
    """Return the description as it is shipped: JSON in UTF-8."""
    return resources.files(__package__).joinpath("openapi.json").read_bytes()


def openapi_answer(base_url: str) -> Answer:
    """Answer a request for the description.

    Args:
        base_url: Where the simulator was reached; it takes the place of the vendor's server.
    """
    return to_json(document() | {"servers": [{"url": base_url, "description": "This simulator"}]})
