"""Checks the connection to the platform step by step: name, connection, certificate, clock, then the API.

Each step needs the one before it, so the first that fails names the problem and the rest is skipped.
"""

from __future__ import annotations

import asyncio
import time
import warnings
from datetime import timedelta
from email.utils import parsedate_to_datetime

from yarl import URL

from opus_async.cli.checks import PATIENCE, Check, StepFailed, bad, good, risk, skipped
from opus_async.cli.doctor import certificate_check
from opus_async.cli.doctor.certificate_check import CERTIFICATE
from opus_async.cli.doctor.sockets import close, system_reason
from opus_async.cli.target import Target
from opus_async.config import Timeouts
from opus_async.errors import ConfigurationError, Obstacle, OpusError, TransportError
from opus_async.transport.http import Http, Request
from opus_async.transport.proxies import Proxies

WORST_SKEW = 60.0
"""Seconds that our clock may differ: storage refuses a presigned URL whose time is too far from its own."""

_NAME, _CONNECTION, _PROXY, _CLOCK = "name", "connection", "way through", "clock"
_STEPS = (_NAME, _CONNECTION, CERTIFICATE, _CLOCK)


async def examine(target: Target) -> list[Check]:
    """Take each step until one fails; the others are skipped.

    Args:
        target: The platform; its workflow is read in the live call, if there is one.
    """
    found: list[Check] = []
    try:
        await _take_steps(found, target)
    except StepFailed as failed:
        found.append(failed.check)
    seen = {check.name for check in found}
    missing = [step for step in (*_STEPS, *target.entry.live_steps) if step not in seen]
    return found + [skipped(step, "needs what has failed above") for step in missing]


async def _take_steps(found: list[Check], target: Target) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            base_url = target.entry.base_url()
    except ConfigurationError:  # said already
        return
    url = URL(base_url)
    try:
        proxy = Proxies().for_url(url)
    except ConfigurationError as error:
        raise StepFailed(bad(_NAME, error.message, "correct the setting named here")) from None
    first = URL(proxy) if proxy else url
    host, port = first.host or "", first.port or 443
    variable = target.entry.variables.base_url
    found.append(await _resolve(host, port, variable))
    found.append(await _reach(host, port, variable))
    if url.scheme == "https" and not proxy:
        found.append(await certificate_check.examine(host, port))
    clock = await _compare_clocks(base_url, proxied=proxy is not None)
    if url.scheme != "https":
        found.append(skipped(CERTIFICATE, "no TLS: this is plain http"))
    elif proxy:  # an answer came
        found.append(good(CERTIFICATE, "trusted, as it comes through the proxy"))
    found.append(clock)
    found += await target.entry.live_checks(target.api, base_url, target.workflow_id)


async def _resolve(host: str, port: int, variable: str) -> Check:
    """Look up the addresses of the host, which this variable names."""
    try:
        async with asyncio.timeout(PATIENCE):
            answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise StepFailed(
            bad(
                _NAME,
                f"{host} cannot be resolved: {system_reason(error)}",
                f"check the spelling of {variable}, the DNS server, the VPN",
            )
        ) from None
    addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    return good(_NAME, f"{host} is {', '.join(addresses[:3])}{', ...' if len(addresses) > 3 else ''}")  # noqa: PLR2004


async def _reach(host: str, port: int, variable: str) -> Check:
    """Open a connection to the host, which this variable names."""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        why = system_reason(error)
        raise StepFailed(
            bad(
                _CONNECTION,
                f"{host}:{port}: {why}",
                f"check {variable}, the firewall, whether a proxy is needed",
            )
        ) from None
    spent = time.perf_counter() - began
    await close(writer)
    return good(_CONNECTION, f"{host}:{port} within {spent * 1000:.0f} ms")


def _in_between(error: TransportError) -> Check:
    """The check of a proxy that lets nothing through, or whose certificate is not trusted."""
    name = CERTIFICATE if error.obstacle is Obstacle.CERTIFICATE else _PROXY
    return bad(name, error.finding, error.fix or "ask who runs the proxy")


async def _compare_clocks(base_url: str, *, proxied: bool) -> Check:
    """Compare our clock with the Date of an answer; the request carries no key."""
    http = Http(Timeouts(connect=PATIENCE, request=PATIENCE))
    before = time.time()
    try:
        answer = await http.send(Request(operation="clock", method="GET", url=f"{base_url}/", headers={}))
    except OpusError as error:
        if isinstance(error, TransportError) and (
            error.obstacle is Obstacle.PROXY or (proxied and error.obstacle is Obstacle.CERTIFICATE)
        ):
            raise StepFailed(_in_between(error)) from None
        if isinstance(error, TransportError) and not error.retryable:  # a redirect: the API may still answer
            return skipped(_CLOCK, error.message)
        raise StepFailed(bad(_CLOCK, error.message, "without an answer nothing else can work")) from None
    finally:
        await http.close()
    middle = (before + time.time()) / 2
    try:
        there = parsedate_to_datetime(answer.headers["Date"]).timestamp() + 0.5  # it is cut to the second
    except (KeyError, ValueError):
        return risk(_CLOCK, "the answer has no readable Date", "check this machine's clock in another way")
    skew = middle - there
    if abs(skew) > WORST_SKEW:
        which = "ahead of" if skew > 0 else "behind"
        return bad(
            _CLOCK,
            f"{timedelta(seconds=round(abs(skew)))} {which} the platform's",
            "set this machine's clock (NTP): uploads to presigned URLs fail when it is wrong",
        )
    return good(_CLOCK, f"within {max(abs(skew), 1):.0f} s of the platform's")
