"""The gate of the API: what every request passes, whichever generation of endpoints it is for.

In this order: is there such an endpoint (404), a valid key (401), room under the rate limit (429), a body
that is JSON (400); then faults, then the endpoint. What an endpoint refuses becomes the vendor's envelope
here.
"""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from aiohttp import web

from opus_async.simulator import fault_injection, traits
from opus_async.simulator.answers import HTML_TYPE, Answer, Refusal, envelope
from opus_async.simulator.downloads import Downloads
from opus_async.simulator.job_management import JobManagement
from opus_async.simulator.openapi import OPENAPI_PATH, openapi_answer
from opus_async.simulator.operations import Call, Operation
from opus_async.simulator.rate import TokenBucket
from opus_async.simulator.reference import ReferenceApi
from opus_async.simulator.state import state_answer
from opus_async.simulator.v0 import JobsApi
from opus_async.simulator.v1 import CasesApi

if TYPE_CHECKING:
    from opus_async.simulator.faults import Fault
    from opus_async.simulator.world import SimulatorState

STATE_PATH = "/_simulator/state"
KEY_HEADER = "x-service-key"
_WORKFLOW_READS = ("workflow", "workflow_object", "variables_schema")
_ON_A_PLAN = ("initiate", "execute")
_LOGIN_PAGE = b"<!doctype html>\n<html><head><title>Sign in</title></head><body>Sign in</body></html>\n"


class Endpoints(Protocol):
    """One generation of the API, or what was seen beside them: finds the operation of a request."""

    def find(self, method: str, path: str) -> tuple[Operation, str] | None:
        """Return the operation and the id in the path, or None if it is not one of its endpoints."""
        ...


class Gate:
    """Handles every request to the API.

    Args:
        world: What the simulator knows.
    """

    def __init__(self, world: SimulatorState) -> None:
        self._world = world
        self._generations = _endpoints(world)
        self._traits = world.config.traits
        self._key = world.config.service_key
        rate = world.config.rate_limit
        self._bucket = TokenBucket(rate, world.clock()) if rate else None

    async def handle(self, request: web.BaseRequest) -> Answer | None:
        """Return the answer to a request, or None if its connection was closed instead."""
        path, _, query = request.raw_path.partition("?")
        if path == STATE_PATH and request.method == "GET":
            return state_answer(self._world, query)
        if path == OPENAPI_PATH and request.method == "GET":
            return openapi_answer(f"http://{request.host}")
        try:
            return await self._pass(request, path, query)
        except Refusal as refusal:
            return envelope(refusal, path, self._world.clock(), self._traits)
        except web.HTTPRequestEntityTooLarge:
            # What stands in front of the service answers this one, and it answers HTML.
            return fault_injection.html_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except (web.RequestPayloadError, ConnectionError):
            # The client went away in the middle of its body.
            fault_injection.close(request, reset=False)
            return None

    async def _pass(self, request: web.BaseRequest, path: str, query: str) -> Answer | None:
        world = self._world
        operation, argument = self._find(request.method, path)
        world.requests[operation.name] += 1
        if traits.HTML_GATEWAY in self._traits:
            return Answer(HTTPStatus.OK, _LOGIN_PAGE, HTML_TYPE)
        self._check_key(request.headers.get(KEY_HEADER))
        self._check_permission(operation)
        if self._bucket and (wait := self._bucket.take(world.clock())):
            return fault_injection.too_many_requests(path, world.clock(), math.ceil(wait), self._traits)
        body = await _read_json(request) if request.method == "POST" else {}
        call = Call(path, argument, query, body)
        if world.faults.quiet:
            return operation.handle(call)
        return await self._pass_faults(request, operation, call)

    async def _pass_faults(self, request: web.BaseRequest, operation: Operation, call: Call) -> Answer | None:
        world = self._world
        fault = world.faults.next(*operation.identify(call), world.clock())
        if fault is None:
            return operation.handle(call)
        world.injected[f"{operation.name}.{fault.kind}"] += 1
        call.fault = fault

        def effect() -> Answer:
            try:
                return operation.handle(call)
            except Refusal as refusal:
                return envelope(refusal, call.path, world.clock(), self._traits)

        def turned_away(fault: Fault) -> Answer:
            return fault_injection.turned_away(fault, call.path, world.clock(), self._traits)

        return await fault_injection.deliver(request, fault, effect, turned_away)

    def _find(self, method: str, path: str) -> tuple[Operation, str]:
        for generation in self._generations:
            if found := generation.find(method, path):
                return found
        raise Refusal(HTTPStatus.NOT_FOUND, f"Cannot {method} {path}")

    def _check_key(self, key: str | None) -> None:
        if traits.BROWSER_ONLY in self._traits:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "No auth cookie provided")
        if key == self._key:
            return
        if not key:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "API key is required")
        raise Refusal(HTTPStatus.UNAUTHORIZED, "Invalid or expired API key")

    def _check_permission(self, operation: Operation) -> None:
        if operation.name in _WORKFLOW_READS and traits.PERMISSION_DENIED in self._traits:
            message = 'The user of this API key lacks the permission "Workflow: Full"'
            raise Refusal(HTTPStatus.FORBIDDEN, message)
        if operation.name in _ON_A_PLAN and traits.QUOTA_EXHAUSTED in self._traits:
            raise Refusal(HTTPStatus.PAYMENT_REQUIRED, "The quota of this organization is used up")


def _endpoints(world: SimulatorState) -> tuple[Endpoints, ...]:
    spoken = world.config.generations
    jobs = (JobsApi(world), JobManagement(world)) if spoken != "v1" else ()
    cases = (CasesApi(world),) if spoken != "v0" else ()
    # What belongs to no generation is there with either of them.
    return (*jobs, *cases, Downloads(world), ReferenceApi(world))


async def _read_json(request: web.BaseRequest) -> dict[str, Any]:
    """Return the decoded body.

    A body of another Content-Type is not read, as in the vendor's framework: validation then misses every
    field.
    """
    raw = await request.read()
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" or not raw:
        return {}
    try:
        body = _DECODER.decode(raw.decode())
    except (ValueError, RecursionError) as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"Request body is not valid JSON: {error}") from None
    if not isinstance(body, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, ["the request body must be an object"])
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"unexpected token {name}")


def _finite(text: str) -> float:
    # JSON can spell numbers that no answer could carry back: 1e999.
    if math.isinf(number := float(text)):
        raise ValueError(f"number out of range: {text}")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
