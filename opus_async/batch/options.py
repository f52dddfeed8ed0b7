"""What a batch is asked to do: what changes its results, and what does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Self

from opus_async.batch.choices import MOST_PRICE, UNTIL, Until
from opus_async.errors import ManifestError
from opus_async.jobs.halt import Halt
from opus_async.jobs.shutdown import DRAIN_SECONDS
from opus_async.manifests.binding.habits import Habits
from opus_async.manifests.paths import as_written
from opus_async.remote_urls import scheme_of


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSpec:
    """What is asked for: it changes the results, and may not change between runs unless that is forced.

    Attributes:
        workflow_id: The workflow.
        version_number: Pins its version by number.
        version_id: Pins it by UUID.
        columns: Column of the manifest -> input; an empty input ignores the column.
        constants: Input -> value for every row that has none.
        title: Template of the jobs' titles, e.g. ``Invoice {Number}``.
        description: Template of the jobs' descriptions.
        key: The column that names each row; None makes keys from content.
        decimal: The sign before the fraction of numbers in text, ``,`` or ``.``; None for JSON's.
        dates: The order of dates in text: ``dmy``, ``mdy`` or ``ymd``; None for ISO 8601 alone.
        true: A word for true in text.
        false: A word for false in text.
    """

    workflow_id: str
    version_number: int | None = None
    version_id: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    title: str | None = None
    description: str | None = None
    key: str | None = None
    decimal: str | None = None
    dates: str | None = None
    true: str | None = None
    false: str | None = None

    def __post_init__(self) -> None:
        self.habits  # noqa: B018 - refuses what is no habit, before anything is read

    @property
    def habits(self) -> Habits:
        """How numbers, dates and truth values are written in cells."""
        return Habits(decimal=self.decimal, dates=self.dates, true=self.true, false=self.false)

    def as_facts(self) -> dict[str, Any]:
        """The fields as JSON, for the ledger."""
        return _facts_of(self)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Read the fields from the ledger."""
        return cls(**{"workflow_id": "", **_known(cls, facts)})


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestSource:
    """Where the manifest is and how it is read; may move between runs.

    Attributes:
        manifest: A file, a folder or a glob, by its path or URL.
        sheet: Of a workbook; None for the first.
        delimiter: Of a CSV; None to find out.
        encoding: Of a text; None to find out.
        pad_short_rows: Whether rows of a CSV with too few cells have empty ones at their end.
    """

    manifest: str
    sheet: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    pad_short_rows: bool = False

    @classmethod
    def of(cls, manifest: str | PathLike[str], **more: Any) -> Self:
        """Name a manifest by its full path: the next run may start in another folder.

        Raises:
            ManifestError: It has no name, or that of a user without a home.
        """
        if not fspath(manifest):
            raise ManifestError("no manifest was named: give a file, a folder, or a pattern in quotes")
        if scheme_of(fspath(manifest)) is not None:
            return cls(manifest=fspath(manifest).strip(), **more)
        here = Path.cwd()
        try:
            path = Path(manifest).expanduser()
        except RuntimeError:
            raise ManifestError(
                f"{manifest} names a user whose home cannot be found: give the path"
            ) from None
        return cls(manifest=str(here / as_written(str(path), here)), **more)

    def as_facts(self) -> dict[str, Any]:
        """The fields as JSON, for the ledger."""
        return _facts_of(self)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Read the fields from the ledger. Before there was ``pad_short_rows``, all of them were padded."""
        values: dict[str, Any] = {entry.name: facts.get(entry.name) for entry in fields(cls)}
        return cls(**{**values, "pad_short_rows": bool(facts.get("pad_short_rows", True))})


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestPolicy:
    """What is tolerated of a manifest.

    Attributes:
        skip_invalid: Rows that cannot be run.
        accept_second_bill: Rows that may be billed again.
        allow_outside: Files outside of its folder. Part of what was asked for: a resume keeps it.
        allow_queries: Http(s) URLs with a query, which are kept with the row. A resume keeps it, too.
    """

    skip_invalid: bool = False
    accept_second_bill: bool = False
    allow_outside: bool = False
    allow_queries: bool = False

    def as_facts(self) -> dict[str, Any]:
        """The fields as JSON, for the ledger; a second bill is accepted for one command, and not kept."""
        return {
            "skip_invalid": self.skip_invalid,
            "allow_outside": self.allow_outside,
            "allow_queries": self.allow_queries,
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Read the fields from the ledger; what it does not tell of was tolerated when it was made."""
        return cls(
            skip_invalid=bool(facts.get("skip_invalid", False)),
            allow_outside=bool(facts.get("allow_outside", True)),
            allow_queries=bool(facts.get("allow_queries", True)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How the work is done; changes no result, and may change from run to run.

    Attributes:
        max_in_flight: Rows that hold a slot at once.
        start_rate: Rows begun a second; None for no bound.
        halt: When so much fails that it makes no sense to go on.
        timeout: Seconds for one row until it is unknown how it ends; None waits for ever.
        download_outputs: Whether files among the outputs are fetched.
        drain_seconds: How long an interrupt waits, at most, for rows that are near their end.
        price: What one job costs that completes, in whatever currency; None where nobody told.
    """

    max_in_flight: int = 500
    start_rate: float | None = None
    halt: Halt = field(default_factory=Halt)
    timeout: float | None = None
    download_outputs: bool = False
    drain_seconds: float = DRAIN_SECONDS
    price: float | None = None

    def __post_init__(self) -> None:
        if self.max_in_flight < 1:
            raise ValueError(f"max_in_flight={self.max_in_flight} runs nothing: give 1 or more")
        if self.start_rate is not None and not self.start_rate > 0:
            raise ValueError(f"start_rate={self.start_rate} starts nothing: give more than 0 rows a second")
        if self.timeout is not None and not self.timeout > 0:
            raise ValueError(f"timeout={self.timeout} leaves no time: give more than 0 seconds")
        if self.price is not None and not 0 < self.price <= MOST_PRICE:
            raise ValueError(f"price={self.price} is no price of a job: give a number above 0, like 0.12")

    def as_facts(self) -> dict[str, Any]:
        """The fields as JSON, for the ledger."""
        return _facts_of(self)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Read the fields from the ledger."""
        values = _known(cls, facts)
        return cls(**{**values, "halt": Halt.parse(values.get("halt", "never"))})

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """A copy with other values for some; None leaves a value as it is."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionGoal:
    """How far one session goes, of a batch that is planned as a whole. The next one does not keep it.

    Attributes:
        limit: Rows that it begins at most, in the order of the manifest; None for all.
        until: ``ended``: every row that it begins has ended; ``ordered``: every such row is ordered, and
            what its job gives is collected by another session.
    """

    limit: int | None = None
    until: Until = "ended"

    def __post_init__(self) -> None:
        if self.limit is not None and (type(self.limit) is not int or self.limit < 1):
            raise ValueError(f"limit={self.limit!r} is no number of rows: give 1 or more, or None for all")
        if self.until not in UNTIL:
            raise ValueError(f"until={self.until!r}: choose from {', '.join(UNTIL)}")

    @property
    def until_ordered(self) -> bool:
        """Whether nothing is waited for once it is ordered."""
        return self.until == "ordered"

    def as_facts(self) -> dict[str, Any]:
        """The fields as JSON, for the ledger."""
        return _facts_of(self)


EVERYTHING = SessionGoal()
"""All rows, to their ends."""


def _facts_of(options: BatchSpec | ManifestSource | RunSettings | SessionGoal) -> dict[str, Any]:
    return {entry.name: _plain(getattr(options, entry.name)) for entry in fields(options)}


def _known(kind: type[BatchSpec | RunSettings], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that this release has a field for."""
    names = {entry.name for entry in fields(kind)}
    return {name: value for name, value in facts.items() if name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, Halt):
        return str(value)
    return dict(value) if isinstance(value, Mapping) else value
