"""What ``batch validate`` found, as text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from opus_async.cli.tables import cells_wide, columns, printable, wrapped
from opus_async.reporting.costs import money
from opus_async.text import coarse, counted, precise_size

if TYPE_CHECKING:
    from opus_async.manifests.binding.bound_column import BoundColumn
    from opus_async.manifests.validation.estimate import Estimate
    from opus_async.manifests.validation.result import Cause, Validation

MOST_CAUSES = 20
"""Causes that are shown at most, the most frequent ones."""
_NARROW = 60
"""Columns of a terminal below which problems are no table."""


def table(validation: Validation, width: int | None) -> str:
    """A validation as text: what each column fills, what is wrong, and what the valid rows will take.

    Args:
        validation: What was found.
        width: Of the terminal; None to wrap nothing.
    """
    outside = f"{validation.outside.summary}." if validation.outside.count else ""
    parts = [
        binding(validation.columns, width),
        found(validation.causes, width),
        outside,
        key_proposal(validation),
        verdict(validation),
    ]
    if validation.estimate.jobs and not validation.doomed:
        paragraphs = expected(validation.estimate).splitlines()
        parts.append("\n".join(line for each in paragraphs for line in wrapped(each, width)))
    return "\n\n".join(filter(None, parts))


def key_proposal(validation: Validation) -> str:
    """The option that names rows by a column of theirs, ready to be typed; empty where there is none."""
    if validation.proposed_key is None:
        return ""
    return (
        "No column names the rows, so a digest of their content does. One has another value in each: "
        f"--key {shlex.quote(validation.proposed_key)}"
    )


def binding(bound: Sequence[BoundColumn], width: int | None) -> str:
    """A table of what each column fills; empty for no columns."""
    if not bound:
        return ""
    lines = [("COLUMN", "FILLS", "TYPE", "BOUND BY")]
    lines += [
        (column.column, _filled(column), column.input.type if column.input else "", column.bound_by)
        for column in bound
    ]
    return columns(lines, width=width)


def found(causes: Sequence[Cause], width: int | None) -> str:
    """A table of problems, each cause once with its first row; empty for none."""
    if not causes:
        return ""
    lines = [("", "ROWS", "FIRST", "WHAT IS WRONG", "WHAT TO DO")]
    lines += [
        (
            str(cause.first.severity),
            "" if cause.first.index is None else f"{cause.count:,}",
            cause.first.where or "",
            f"{cause.first.message}{_another(cause)}",
            cause.first.fix or "",
        )
        for cause in causes[:MOST_CAUSES]
    ]
    left = causes[MOST_CAUSES:]
    more = f"\n... and {len(left):,} more kinds of problems" if left else ""
    if width is not None and width < _NARROW:
        return "\n".join(_below_each_other(causes[:MOST_CAUSES], width)) + more
    return columns(lines, width=width) + more + _to_copy(causes[:MOST_CAUSES], lines, width)


def _below_each_other(causes: Sequence[Cause], width: int) -> Iterator[str]:
    """Problems as paragraphs, for a terminal without room for a table; options to be copied in one piece."""
    for cause in causes:
        first = cause.first
        rows = "" if first.index is None else f" in {counted(cause.count, 'row')}"
        where = f"{rows}, first {first.where}" if rows and first.where else rows or f" {first.where or ''}"
        yield from wrapped(f"{first.severity}{printable(where).rstrip()}:", width)
        yield from wrapped(f"  {printable(first.message + _another(cause))}", width)
        if first.fix:
            fix = f"  {printable(first.fix)}"
            yield from [fix] if "--" in fix else wrapped(fix, width)


def _to_copy(causes: Sequence[Cause], lines: Sequence[Sequence[str]], width: int | None) -> str:
    """The options of a table that had to be wrapped, once more in one piece; empty where it was not."""
    fixes = dict.fromkeys(cause.first.fix for cause in causes if cause.first.fix and "--" in cause.first.fix)
    if not fixes or width is None or max(map(cells_wide, columns(lines).splitlines())) <= width:
        return ""
    return "\n\nTo copy from:\n" + "\n".join(f"  {fix}" for fix in fixes)


def _another(cause: Cause) -> str:
    """A value of another row with the same problem; empty when all rows have the same value."""
    if cause.other is None or not cause.other.where:
        return ""
    value = next((part for part in cause.other.parts if part not in cause.first.parts), None)
    return f" ({cause.other.where}: {value})" if value else ""


def verdict(validation: Validation) -> str:
    """How many rows can be run, in a sentence."""
    total = counted(validation.rows, "row")
    if validation.doomed:
        return f"{total}: none can be run as long as the manifest as a whole has errors."
    if validation.ok:
        return f"{total}: all can be run."
    return f"{total}: {validation.valid:,} can be run, {validation.invalid:,} cannot."


def expected(estimate: Estimate) -> str:
    """What the valid rows will take, and the assumptions behind it."""
    low, high = estimate.seconds
    files = f"{counted(estimate.files, 'file')} of {precise_size(estimate.bytes)}"
    upload = f"{files} to upload, " if estimate.files else ""
    cost = "" if estimate.cost is None else f" for about {money(estimate.cost)}"
    return (
        f"Expected: {counted(estimate.jobs, 'job')}{cost}, {upload}at least {estimate.requests:,} requests, "
        f"{coarse(low)} to {coarse(high)}.\n"
        f"Assumed: {'; '.join(estimate.assumes)}."
    )


def _filled(column: BoundColumn) -> str:
    """What a column fills, in a few words."""
    if column.problem:
        return "cannot be used"
    names = (
        [column.input.display_name] if column.input else [f"the {column.reserved}"] if column.reserved else []
    )
    if column.is_key and column.reserved != "key":
        names.append("the key")
    return ", ".join(names) or "nothing"
