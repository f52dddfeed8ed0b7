"""Checks of Opus's settings that need no network: key, URLs, generation of the API."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from opus_async.cli.checks import Check, bad, good, risk
from opus_async.cli.platforms.opus import generation
from opus_async.errors import ConfigurationError
from opus_async.opus.settings import (
    check_callback,
    key_problem,
    resolve_base_url,
    resolve_callback,
    resolve_key,
)
from opus_async.transport.urls import is_loopback


def examine(api: str | None) -> Iterator[Check]:
    """Make all checks of this module; ``api`` is what ``--api`` named."""
    yield key()
    yield base_url()
    yield configured_api(api)
    yield callback_url()


def key() -> Check:
    """Check that there is a service key, and its shape."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = resolve_key(None)
    except ConfigurationError as error:
        return bad("service key", error.message, "export OPUS_SERVICE_KEY=..., or put that line into .env")
    if problem := key_problem(found):
        return risk("service key", f"is set; {problem}", "if the live call below works, all is well")
    return good("service key", "is set, and has the right shape")


def base_url() -> Check:
    """Check the base URL."""
    try:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            url = resolve_base_url(None)
    except ConfigurationError as error:
        return bad("base URL", error.message, "correct OPUS_BASE_URL, or unset it to use the vendor's host")
    if found:
        return risk("base URL", f"{url}: {found[0].message}", "use https:// unless this is a test")
    return good("base URL", f"{url}{'' if os.environ.get('OPUS_BASE_URL') else ' (default)'}")


def configured_api(named: str | None) -> Check:
    """Check which generation of the API is configured."""
    try:
        wanted = generation(named)
    except ConfigurationError as error:
        return bad("API", error.message, "correct OPUS_API, or unset it to use v0")
    source = "default"
    if named:
        source = "--api"
    elif os.environ.get("OPUS_API", "").strip():
        source = "OPUS_API"
    return good("API", f"{wanted} ({source})")


def callback_url() -> Check:
    """Check the callback URL; its path can be a secret and is not shown."""
    url = resolve_callback(None)
    if url is None:
        return good("callback URL", "none: jobs are polled")
    try:
        check_callback(url, plain_http=_is_here())
    except ConfigurationError as error:
        return bad("callback URL", error.message, "correct OPUS_CALLBACK_URL, or unset it")
    return good("callback URL", f"at {urlsplit(url).hostname}")


def _is_here() -> bool:
    """Whether the base URL is on this machine."""
    with suppress(ConfigurationError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return is_loopback(resolve_base_url(None))
    return False
