"""What must hold before anything is sent: an unused directory, no host where jobs are real, a yes."""

from __future__ import annotations

import sys

from opus_async.cli import platforms
from opus_async.cli.load.load_options import LoadOptions

_YES = frozenset({"y", "yes"})


def check_place(options: LoadOptions) -> None:
    """Refuse a directory that holds a run, and the vendor's own host. Nothing is sent or looked up.

    Raises:
        LoadRefused: It must not run there.
    """
    from opus_async.clients.settings import is_at
    from opus_async.load import directory
    from opus_async.load.api import refuse_production

    directory.refuse_used(options.out)
    entry = platforms.entry(options.platform)
    options.env_file.load(entry)
    at_vendor = is_at(entry.base_url(), entry.vendor_domain)
    refuse_production(at_vendor=at_vendor, allowed=options.production)


def confirm(options: LoadOptions, jobs: int, *, exact: bool) -> None:
    """Have a person confirm what it costs, unless ``--yes`` was given.

    Args:
        options: Of the command.
        jobs: How many jobs it starts.
        exact: Whether it is that many; else it is at most that many.

    Raises:
        LoadRefused: Nobody is there to confirm, or it was not confirmed.
    """
    from opus_async.errors import LoadRefused
    from opus_async.metrics.cost import cost_of
    from opus_async.text import counted

    if options.yes:
        return
    number = f"{'' if exact else 'at most '}{counted(jobs, 'job')}"
    cost = "" if options.price is None else f", {cost_of(jobs, options.price):,.2f} at {options.price:g} each"
    entry = platforms.entry(options.platform)
    what = f"{number} of workflow {options.workflow} at {entry.base_url()}{cost}"
    if not sys.stdin or not sys.stdin.isatty():
        raise LoadRefused(
            f"This starts {what}, and there is nobody to confirm it: say --yes; nothing was sent"
        )
    print(f"opus-async: this starts {what}. Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in _YES:
        raise LoadRefused("Not confirmed; nothing was sent")
