"""The gate of Operativus: what every request passes before its endpoint.

In this order: a valid token (401), room under the rate limit (429), is there such an endpoint (404, 405), the
role (403), a body that is JSON (415, 400); then faults, then the endpoint.
"""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from aiohttp import web

from opus_async.simulator import fault_injection, faults
from opus_async.simulator.answers import Answer
from opus_async.simulator.operativus import traits
from opus_async.simulator.operativus.operations import Call, Operation, Routes
from opus_async.simulator.operativus.other_api import LOGIN_PATH, OtherApi
from opus_async.simulator.operativus.problems import (
    Problem,
    Unauthenticated,
    forbidden,
    malformed,
    server_error,
    too_many_requests,
)
from opus_async.simulator.operativus.runs_api import RunsApi
from opus_async.simulator.operativus.state import snapshot
from opus_async.simulator.operativus.times import zoned
from opus_async.simulator.operativus.workflows_api import WorkflowsApi, to_json
from opus_async.simulator.rate import TokenBucket

if TYPE_CHECKING:
    from opus_async.simulator.faults import Fault
    from opus_async.simulator.operativus.accounts import Account
    from opus_async.simulator.operativus.world import OperativusState

STATE_PATH: Final = "/_simulator/state"
_BEARER: Final = "Bearer "
_MINUTE: Final = 60


class OperativusGate:
    """Handles every request to Operativus.

    Args:
        world: What the server knows.
    """

    def __init__(self, world: OperativusState) -> None:
        self._world = world
        self._active = world.config.active
        apis = WorkflowsApi(world), RunsApi(world), OtherApi(world)
        self._routes = Routes(operation for api in apis for operation in api.operations())
        self._buckets: dict[str, TokenBucket] = {}

    async def handle(self, request: web.BaseRequest) -> Answer | None:
        """Return the answer to a request, or None if its connection was closed instead."""
        path, _, query = request.raw_path.partition("?")
        if path == STATE_PATH and request.method == "GET":
            return to_json(snapshot(self._world, parse_qs(query).get("session", [None])[-1]))
        try:
            return await self._pass(request, path, query)
        except Problem as problem:
            return problem.answer(path, self._active)
        except web.HTTPRequestEntityTooLarge:
            return fault_injection.html_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except (web.RequestPayloadError, ConnectionError):
            fault_injection.close(request, reset=False)
            return None

    async def _pass(self, request: web.BaseRequest, path: str, query: str) -> Answer | None:
        world = self._world
        account = None if path == LOGIN_PATH else self._caller(request)
        self._check_rate(account, request)
        operation, ids = self._find(request.method, path)
        world.requests[operation.name] += 1
        if operation.admin and account is not None and not account.is_admin:
            raise forbidden()
        body = await _read_json(request, needed=operation.reads)
        call = Call(path, ids, query, body, account, world.now())
        if world.faults.quiet:
            return operation.handle(call)
        return await self._pass_faults(request, operation, call)

    async def _pass_faults(self, request: web.BaseRequest, operation: Operation, call: Call) -> Answer | None:
        fault = self._world.faults.next(operation.name, operation.identity(call), call.now)
        if fault is None:
            return operation.handle(call)
        self._world.injected[f"{operation.name}.{fault.kind}"] += 1

        def effect() -> Answer:
            try:
                return operation.handle(call)
            except Problem as problem:
                return problem.answer(call.path, self._active)

        def instead(fault: Fault) -> Answer:
            return self._turned_away(fault, call.path)

        return await fault_injection.deliver(request, fault, effect, instead)

    def _turned_away(self, fault: Fault, path: str) -> Answer:
        if fault.kind == faults.RATE_LIMITED:
            return self._throttled(math.ceil(fault_injection.wait_of(fault))).answer(path, self._active)
        status = fault_injection.status_of(fault)
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            return server_error().answer(path, self._active)
        return fault_injection.html_error(status)

    def _caller(self, request: web.BaseRequest) -> Account:
        given = request.headers.get("Authorization", "")
        now = self._world.clock()
        if given.startswith(_BEARER) and (found := self._world.tokens.owner(given[len(_BEARER) :], now)):
            return found
        raise Unauthenticated(zoned(now))

    def _check_rate(self, account: Account | None, request: web.BaseRequest) -> None:
        """Refuse a user who asks too often, or an address that logs in too often."""
        config, now = self._world.config, self._world.clock()
        if account is not None:
            if config.rate_limit and self._bucket(account.username, config.rate_limit, 0, now).take(now):
                raise self._throttled(1)
        elif config.login_limit:
            rate = config.login_limit / _MINUTE
            if self._bucket(f"login from {request.remote}", rate, config.login_limit, now).take(now):
                raise self._throttled(_MINUTE)

    def _bucket(self, key: str, rate: float, burst: float, now: float) -> TokenBucket:
        if key not in self._buckets:
            self._buckets[key] = TokenBucket(rate, now, burst)
        return self._buckets[key]

    def _throttled(self, wait: int) -> Problem:
        return too_many_requests(_MINUTE if traits.THROTTLED_MINUTE in self._active else wait)

    def _find(self, method: str, path: str) -> tuple[Operation, tuple[str, ...]]:
        found = self._routes.find(path)
        if method in found:
            return found[method]
        if not found:
            raise Problem(
                HTTPStatus.NOT_FOUND,
                "not-found",
                "Endpoint Not Found",
                "The requested resource could not be found.",
            )
        raise Problem(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method Not Allowed",
            "The requested HTTP method is not supported for this endpoint.",
            headers={"Allow": ", ".join(sorted(found))},
            supportedMethods=sorted(found),
        )


async def _read_json(request: web.BaseRequest, *, needed: bool) -> dict[str, Any]:
    """Return the decoded body; empty where none is needed, whatever was sent."""
    raw = await request.read()
    if not needed:
        return {}
    if not raw:
        raise malformed()
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "Unsupported Media Type",
            "The Content-Type of the request is not supported by this endpoint.",
            supportedMediaTypes=["application/json", "application/*+json"],
        )
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise malformed() from None
    if not isinstance(body, dict):
        raise malformed()
    return body
