"""``opus-async doctor``: checks whether this machine is ready, and says what has to be done if not.

local_checks        versions, proxy and open files; sends nothing
network_checks      name, connection and clock
certificate_check   the certificate of the platform
sockets             what the checks do with connections

Settings and live calls are checked by the entry of the platform (:mod:`opus_async.cli.platforms`).
"""

from __future__ import annotations

import argparse
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opus_async.cli import platforms
from opus_async.cli.errors import Exit, WrongUse, shortage_text
from opus_async.cli.event_loop import drive
from opus_async.cli.options import ConnectionOptions
from opus_async.cli.streams import symbols
from opus_async.cli.tables import columns, terminal_width
from opus_async.cli.target import PlatformEntry, Target
from opus_async.text import counted

if TYPE_CHECKING:
    from opus_async.cli.checks import Check

_EPILOG = """\
Every generation of the API is asked whether it answers; then a live call reads a workflow with the one that
--api, OPUS_API or the default names. Both cost nothing. Without --workflow it asks for an id that does not
exist: that it is not found proves that the key works. The key itself is never shown.

✓ good   ! works, with a risk   ✗ has to be mended (exit code 4)   - not checked, because of another problem

examples:
  opus-async doctor
  opus-async doctor --workflow B9uGJfZ3CFwOdMKH
  opus-async doctor --api v1
  opus-async doctor --json | jq '.checks[] | select(.state == "bad")'
"""


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(ConnectionOptions):
    """Options of ``doctor``.

    Attributes:
        workflow: A workflow to read in the live call; None to ask for one that does not exist.
        json: Whether to print JSON.
    """

    workflow: str | None
    json: bool


OPTIONS = DoctorOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("--workflow", metavar="ID", help="read this workflow in the live call")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    platforms.configure(parser, choose=True)


def run(options: DoctorOptions) -> int:
    """Run all checks, and print what they found."""
    from opus_async.cli.checks import State

    checks = _examined(options)
    bad = sum(check.state is State.BAD for check in checks)
    if options.json:
        found = {"ok": not bad, "checks": [check.as_json() for check in checks]}
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print(symbols(_table(checks)))
        print(_verdict(bad))
    return Exit.NOT_ALLOWED if bad else Exit.OK


def _examined(options: DoctorOptions) -> list[Check]:
    from opus_async.cli.doctor import local_checks
    from opus_async.config import Limits

    targets = _targets(options)
    found = [local_checks.versions(), local_checks.file_limit(Limits())]
    for target in targets:
        checks = _checks_of(target, options)
        found += checks if len(targets) == 1 else [check.about(target.entry.title) for check in checks]
    return found


def _targets(options: DoctorOptions) -> list[Target]:
    """What is checked: the platform that was named, else all that are set up, else the usual one."""
    named = platforms.target_of(options)
    if options.platform is None:
        found = [Target(entry) for entry in platforms.entries() if _is_set_up(entry, options)] or [named]
    else:
        found = [named]
    if options.workflow:
        found[0] = found[0]._replace(workflow_id=platforms.checked_workflow(found[0], options.workflow))
    return [target._replace(api=options.api) for target in found]


def _is_set_up(entry: PlatformEntry[Any], options: DoctorOptions) -> bool:
    from opus_async.errors import ConfigurationError

    with suppress(ConfigurationError, WrongUse):  # it is told when that platform is checked
        options.env_file.load(entry)
    return any(os.environ.get(name, "").strip() for name in entry.variables.names)


def _checks_of(target: Target, options: DoctorOptions) -> list[Check]:
    from opus_async.cli.checks import bad
    from opus_async.cli.doctor import local_checks, network_checks
    from opus_async.errors import ConfigurationError

    settings = target.entry.setting_checks
    try:
        loaded = options.env_file.load(target.entry)
    except ConfigurationError as error:  # where the key belongs is not known, so nobody is asked
        return [*settings(target.api), local_checks.proxy(target), local_checks.env_file_refused(error)]
    local = [*settings(target.api), local_checks.proxy(target), *local_checks.env_file(loaded)]
    try:
        return [*local, *drive(network_checks.examine(target))]
    except OSError as error:  # a check above has told of the limit of open files
        if (short := shortage_text(error)) is None:
            raise
        return [*local, bad("network", short, "raise the limit first: nothing was asked")]


def _table(checks: list[Check]) -> str:
    rows = []
    for check in checks:
        rows.append((check.state.mark, check.name, check.finding))
        if check.fix:
            rows.append(("", "", f"→ {check.fix}"))
    return columns(rows, width=terminal_width())


def _verdict(bad: int) -> str:
    if not bad:
        return "\nReady."
    return f"\n{counted(bad, 'thing has', 'things have')} to be mended: follow the arrows."
