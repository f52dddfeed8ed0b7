"""The values that users hold: frozen, plain, free of I/O.

What came over the wire is offered twice: normalised in named fields, and as it was in ``raw``. Nothing that
the platform sent is dropped because we did not know it.
"""

from __future__ import annotations

import copyreg
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, Self

from opus_async.input_problems import InputProblem
from opus_async.json_text import parsed

_EMPTY: Mapping[str, Any] = MappingProxyType({})


def _read_only(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)


copyreg.pickle(MappingProxyType, lambda proxy: (_read_only, (dict(proxy),)))  # so that our values can travel


class JobStatus(str):
    """Where a job stands: a text that compares with its normalised name and keeps what the platform wrote.

    ``JobStatus("COMPLETED", raw="Completed ") == JobStatus.COMPLETED == "COMPLETED"``. The vocabulary is
    opus-neutral; each platform's protocol maps its own words onto it.

    Attributes:
        raw: The platform's own text, for what we do not know (``UNKNOWN``) and for bug reports.
    """

    __slots__ = ("raw",)

    raw: str
    PENDING: ClassVar[JobStatus]
    """Accepted or not yet started; waiting for its turn."""
    IN_PROGRESS: ClassVar[JobStatus]
    WAITING: ClassVar[JobStatus]
    """Parked for a person, a sub-workflow or a callback: hours or days are normal. Not a failure."""
    COMPLETED: ClassVar[JobStatus]
    FAILED: ClassVar[JobStatus]
    CANCELLED: ClassVar[JobStatus]
    TIMED_OUT: ClassVar[JobStatus]
    UNKNOWN: ClassVar[JobStatus]
    """A word we do not know: watched on, never an error."""

    def __new__(cls, name: str, raw: str | None = None) -> Self:
        """Make a status of a normalised name, e.g. ``JobStatus("COMPLETED")``."""
        self = super().__new__(cls, name)
        self.raw = name if raw is None else raw
        return self

    def __repr__(self) -> str:
        return f"<{self}>" if self.raw == self else f"<{self} {self.raw!r}>"

    def __reduce__(self) -> tuple[type[JobStatus], tuple[str, str]]:
        return JobStatus, (str(self), self.raw)

    @property
    def is_terminal(self) -> bool:
        """Whether the job will never change again."""
        return self in _TERMINAL


_NAMES = ("PENDING", "IN_PROGRESS", "WAITING", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT", "UNKNOWN")
for _name in _NAMES:
    setattr(JobStatus, _name, JobStatus(_name))
_TERMINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class InputField:
    """One input of a workflow, as its schema describes it.

    Attributes:
        variable_name: The key on the wire, e.g. ``workflow_input_we4tej0ly``. It changes when the workflow
            is edited: never write it into code.
        display_name: What a person sees in the Opus builder. Not promised to be unique.
        type: ``str``, ``int``, ``float``, ``bool``, ``date``, ``file``, ``array``, ``array_files``,
            ``object``, ``json_string``, or a word we do not know yet.
        schema_type: The schema's own word for the type where it is another one, e.g. ``integer`` for ``int``;
            values are sent with it.
        nullable: Whether the input may be left out.
        allowed_file_types: Upper-case names without dot, e.g. ``("PDF", "JPEG")``; empty means any
            supported type.
        item_type: For ``array``: the type of its items where the schema tells, e.g. ``file``.
        type_definition: The schema's own description of the items, sent back beside the value.
        raw: The field as the platform sent it.
    """

    variable_name: str
    display_name: str
    type: str
    schema_type: str | None = None
    nullable: bool = False
    allowed_file_types: tuple[str, ...] = ()
    item_type: str | None = None
    type_definition: Mapping[str, Any] | None = field(default=None, repr=False)
    raw: Mapping[str, Any] = field(default_factory=lambda: _EMPTY, repr=False, compare=False)

    @property
    def takes_file(self) -> bool:
        """Whether the input is exactly one file."""
        return self.type == "file"

    @property
    def takes_files(self) -> bool:
        """Whether the input is a list of files."""
        return self.type == "array_files" or (self.type == "array" and self.item_type == "file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A workflow and the inputs it expects now.

    Attributes:
        workflow_id: As asked for.
        inputs: Variable name -> field, in the schema's order.
        outputs: Variable name -> display name, where the schema tells; empty otherwise.
        version: The version that answered, where told.
        version_id: Its UUID, where told.
        workspace_id: Where it lives, where told; files must be uploaded to the same workspace.
        warnings: What a person should know about its inputs before a job runs: types that are not known.
        raw: The whole answer.
    """

    workflow_id: str
    name: str = ""
    description: str = ""
    inputs: Mapping[str, InputField] = field(default_factory=lambda: MappingProxyType({}))
    outputs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    version: int | None = None
    version_id: str | None = None
    workspace_id: str | None = None
    warnings: tuple[InputProblem, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=lambda: _EMPTY, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class JobRequest:
    """One job to be run: a row of ``run_many``.

    Attributes:
        inputs: Display name or variable name -> value. File inputs take a path, ``(name, bytes)``, a binary
            file object, an :class:`UploadedFile`, or the ``fileUrl`` of an earlier upload.
        title: Shown in the Opus UI; a default is made when absent.
        description: Shown in the Opus UI; a default is made when absent.
        key: The caller's own name for the row, handed back in the outcome.
        timeout: Seconds from the start of this job until we stop waiting for it.
        version_id: Pins the workflow version by UUID.
        version_number: Pins it by number.
    """

    inputs: Mapping[str, Any]
    title: str | None = None
    description: str | None = None
    key: str | None = None
    timeout: float | None = None
    version_id: str | None = None
    version_number: int | None = None


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that lies in the platform's storage.

    Attributes:
        url: The ``fileUrl`` to put into inputs; not downloadable as it is.
        size: Bytes.
        sha256: Hex digest; None when the digest was switched off.
    """

    url: str
    size: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class DownloadedFile:
    """A file that was fetched from the platform's storage, whole.

    Attributes:
        path: Where it lies.
        size: Bytes.
        sha256: Hex digest, computed while it came in.
        content_type: As storage says; None where it does not.
    """

    path: Path
    size: int
    sha256: str
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class OutputValue:
    """One output variable of a finished job.

    Attributes:
        variable_name: The key on the wire.
        display_name: What a person sees; the variable name where the platform gives none.
        type: As sent; None where the answer had bare values.
        value: As sent.
    """

    variable_name: str
    display_name: str
    value: Any
    type: str | None = None

    @property
    def parsed(self) -> Any:
        """The value; of a text that holds a JSON object or array, what it holds."""
        return parsed(self.value)


@dataclass(frozen=True, slots=True)
class JobResults:
    """What a finished job gave.

    Attributes:
        values: Every output variable, in the order sent.
        raw: The whole answer, as sent.
    """

    values: tuple[OutputValue, ...] = ()
    raw: Any = field(default=None, repr=False)

    @property
    def outputs(self) -> dict[str, Any]:
        """Display name -> value. A display name used twice is followed by its variable in brackets."""
        named: dict[str, Any] = {}
        for output in self.values:
            name, number = output.display_name, 1
            while name in named:
                number += 1
                again = "" if number == 2 else f" {number}"  # noqa: PLR2004 - the second needs no number
                name = f"{output.display_name} ({output.variable_name}{again})"
            named[name] = output.value
        return named

    @property
    def parsed_outputs(self) -> dict[str, Any]:
        """Like ``outputs``; of a text that holds a JSON object or array, what it holds."""
        return {name: parsed(value) for name, value in self.outputs.items()}


NODE_FAILED = frozenset({"FAILED", "ERROR"})
"""The statuses of a node that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditNode:
    """What one node of the workflow did.

    Attributes:
        name: The node's name (the vendor calls it an id; live bodies hold names).
        status: As sent, upper case: ``COMPLETED``, ``FAILED``, ``SLEEPING``; FAILED where only the list of
            failed nodes tells; None where nothing does.
        started_at: Seconds since the epoch; None where not told.
        seconds: How long it ran; nodes overlap, so the sum is more than the elapsed time.
        error: The platform's words on its failure, where it has any.
        inputs: What it was given, where told; large ones can be base64 text, which stays as it is.
        outputs: What it gave, where told; large ones can be base64 text, which stays as it is.
        raw: The node as sent.
    """

    name: str
    status: str | None = None
    started_at: float | None = None
    seconds: float | None = None
    error: str | None = None
    # their values can be lists, and a node can be put into a set all the same
    inputs: tuple[OutputValue, ...] = field(default=(), repr=False, hash=False)
    outputs: tuple[OutputValue, ...] = field(default=(), repr=False, hash=False)
    raw: Mapping[str, Any] = field(default_factory=lambda: _EMPTY, repr=False, compare=False)

    @property
    def ended_at(self) -> float | None:
        """Seconds since the epoch, of a running node those of the look at it; None where not told."""
        return None if self.started_at is None or self.seconds is None else self.started_at + self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the older, textual audit trail."""

    timestamp: str
    actor: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLog:
    """What the platform tells of a job's way through its workflow.

    Attributes:
        nodes: The nodes that have run or are running, in the order of their start.
        failed_nodes: Names.
        executed_nodes: Names.
        executed_count: How many they are, also where only their number is told; None where not even that.
        remaining_nodes: Names; a finished run can still list every node here, so it decides nothing.
        running_node: Name; None when nothing runs.
        total_nodes: How many nodes the workflow has; None where not told.
        trail: The older form's entries; empty in the newer form.
        raw: The whole answer.
    """

    nodes: tuple[AuditNode, ...] = ()
    failed_nodes: tuple[str, ...] = ()
    executed_nodes: tuple[str, ...] = ()
    executed_count: int | None = None
    remaining_nodes: tuple[str, ...] = ()
    running_node: str | None = None
    total_nodes: int | None = None
    trail: tuple[AuditEntry, ...] = ()
    raw: Any = field(default=None, repr=False, compare=False)

    @property
    def started_at(self) -> float | None:
        """When the first node started, in seconds since the epoch; None where not told."""
        return min((node.started_at for node in self.nodes if node.started_at is not None), default=None)

    @property
    def ended_at(self) -> float | None:
        """When the last node ended that has a start and a duration; None where there is none."""
        return max((node.ended_at for node in self.nodes if node.ended_at is not None), default=None)

    @property
    def elapsed(self) -> float | None:
        """Seconds from the first start to the last end; None where not told.

        Nodes overlap and wait for each other, so that the sum of their seconds is another number.
        """
        started, ended = self.started_at, self.ended_at
        return None if started is None or ended is None else ended - started

    @property
    def progress(self) -> float | None:
        """How much of the workflow has run, 0 to 1, by the nodes executed; None where not told.

        The nodes that remain decide nothing: a finished run can still list all of them. Of a workflow with
        branches a finished run executes only those it reached, so that 1 is never promised.
        """
        known = {*self.executed_nodes, *self.failed_nodes, *self.remaining_nodes}
        if self.running_node:
            known.add(self.running_node)
        if self.total_nodes is None and not self.remaining_nodes:
            return None  # nodes that were not reached yet may be missing altogether
        total = max(self.total_nodes or 0, len(known))
        executed = len(self.executed_nodes) or self.executed_count or 0
        return min(executed / total, 1.0) if total else None

    @property
    def failures(self) -> tuple[AuditNode, ...]:
        """The nodes that failed, by their status or by name, in the order of their start.

        One of which only the name is told comes last, with nothing but its name. Of several entries with a
        name, as a node leaves that was tried again, those with a failed status count.
        """
        by_status = {node.name for node in self.nodes if node.status in NODE_FAILED}
        by_name = set(self.failed_nodes) - by_status
        found = [node for node in self.nodes if node.status in NODE_FAILED or node.name in by_name]
        told = {node.name for node in found}
        return (*found, *(AuditNode(name=name) for name in self.failed_nodes if name not in told))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDetail:
    """What the platform keeps of a job, in a search or in full; observed, not documented.

    Attributes:
        job_id: Its id.
        status: Where it stands.
        title: As it was initiated.
        workflow_id: Its workflow, where told.
        workflow_name: The name of its workflow, where told.
        workspace_id: Where it lives, where told.
        created_at: Seconds since the epoch, where told.
        finished_at: Seconds since the epoch, where told; None while it runs.
        builder_type: ``OPUS_V1`` or ``OPUS_V2``, where told.
        audit: Where it came along.
        raw: Everything as sent, inputs and outputs included.
    """

    job_id: str
    status: JobStatus
    title: str = ""
    workflow_id: str | None = None
    workflow_name: str | None = None
    workspace_id: str | None = None
    created_at: float | None = None
    finished_at: float | None = None
    builder_type: str | None = None
    audit: AuditLog | None = field(default=None, repr=False)
    raw: Mapping[str, Any] = field(default_factory=lambda: _EMPTY, repr=False, compare=False)


class FinishedJob(Protocol):
    """What an error can tell of the job that it is about; :class:`opus_async.JobOutcome` is one."""

    @property
    def job_id(self) -> str | None:
        """The platform's id of it; None when no job came to be."""

    @property
    def status(self) -> JobStatus | None:
        """Its terminal status."""

    @property
    def outputs(self) -> Mapping[str, Any]:
        """Display name -> value; empty unless COMPLETED."""

    @property
    def results(self) -> Any:
        """The results as the platform sent them."""

    @property
    def audit(self) -> AuditLog | None:
        """Its audit; None when it could not be had."""

    @property
    def timings(self) -> Mapping[str, float]:
        """Seconds per stage, and ``total``."""

    @property
    def index(self) -> int:
        """The position of the row in its run, from 0."""

    @property
    def key(self) -> str | None:
        """The caller's own name for the row."""
