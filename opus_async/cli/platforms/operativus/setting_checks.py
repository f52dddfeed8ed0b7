"""Checks of the settings of Operativus that need no network: token or password, base URL."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator

from opus_async.cli.checks import Check, bad, good, risk
from opus_async.errors import ConfigurationError
from opus_async.operativus.settings import Login, resolve_base_url, resolve_credentials


def examine() -> Iterator[Check]:
    """Make all checks of this module."""
    yield credentials()
    yield base_url()


def credentials() -> Check:
    """Check that there is something to authenticate with."""
    try:
        found = resolve_credentials(None, None, None)
    except ConfigurationError as error:
        fix = "export OPERATIVUS_TOKEN=..., or put that line into .env"
        return bad("token", error.message, fix)
    if isinstance(found, Login):
        return good("token", f"none: user {found.username} logs in with a password")
    return good("token", "is set")


def base_url() -> Check:
    """Check the base URL."""
    try:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            url = resolve_base_url(None)
    except ConfigurationError as error:
        return bad("base URL", error.message, "correct OPERATIVUS_BASE_URL, or unset it for this machine")
    if found:
        return risk("base URL", f"{url}: {found[0].message}", "use https:// unless this is a test")
    return good("base URL", f"{url}{'' if os.environ.get('OPERATIVUS_BASE_URL') else ' (default)'}")
