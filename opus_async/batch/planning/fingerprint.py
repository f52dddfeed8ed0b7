"""The fingerprint of a batch: all that changes its results, and how two of them differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opus_async.batch.options import BatchSpec
from opus_async.platform import Platform


def fingerprint(spec: BatchSpec, platform: Platform[Any, Any]) -> dict[str, Any]:
    """Workflow, version, mapping and templates; not keys, limits or paths. The platform is open."""
    live = platform.workflow
    return {
        **spec.as_facts(),
        **platform.identity,
        "live_version": live.version,
        "live_version_id": live.version_id,
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A sentence for each difference; a version that one of both does not tell is none."""
    found = []
    for name in dict.fromkeys((*before, *now)):
        old, new = before.get(name), now.get(name)
        if old == new or (name.startswith("live_") and None in {old, new}):
            continue
        found.append(f"{name.replace('_', ' ')} was {_shown(old)}, and is {_shown(new)} now")
    return found


def _shown(value: Any) -> str:
    return "not given" if value in (None, {}) else repr(value)
