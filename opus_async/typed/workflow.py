"""A workflow whose inputs and outputs have types, as its Python module defines it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sized
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar, Unpack, cast
from weakref import WeakKeyDictionary

from pydantic import ValidationError

from opus_async.errors import WorkflowChanged
from opus_async.models import JobRequest, Workflow
from opus_async.outcome import JobOutcome
from opus_async.text import quoted
from opus_async.typed.drift import changes
from opus_async.typed.fields import inputs_of, outputs_of
from opus_async.typed.models import InputsT, OutputsModel

if TYPE_CHECKING:
    from opus_async.jobs.stream import JobStream
    from opus_async.opus.client import OpusClient
    from opus_async.opus.platform import Callback

OutputsT = TypeVar("OutputsT", bound=Mapping[str, Any])


class RequestOptions(TypedDict, total=False):
    """What a job is given besides its inputs; see :class:`~opus_async.JobRequest`."""

    title: str | None
    description: str | None
    key: str | None
    timeout: float | None
    version_id: str | None
    version_number: int | None


class RunOptions(RequestOptions, total=False):
    """The options of :meth:`opus_async.OpusClient.run`."""

    callback: Callback | None


class StreamOptions(TypedDict, total=False):
    """The options of :meth:`opus_async.OpusClient.run_many`."""

    max_in_flight: int | None
    callback: Callback | None
    progress: bool


@dataclass(slots=True)
class _Checked:
    """The versions of a workflow that one client has found to be as expected."""

    versions: set[tuple[int | None, str | None]] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class TypedWorkflow(Generic[InputsT, OutputsT]):
    """A workflow, run with inputs that a type checker knows: ``await INVOICE.run(opus, {...})``.

    Before its first job, each client reads the workflow once and compares it with what the module says; so
    it does for each version that is named.

    Args:
        workflow_id: The workflow.
        inputs: Name -> type and whether it is required, e.g. ``date, required``.
        outputs: The same of the outputs.
        outputs_model: Checks and converts the outputs of a job.
    """

    def __init__(
        self,
        workflow_id: str,
        *,
        inputs: Mapping[str, str],
        outputs: Mapping[str, str],
        outputs_model: type[OutputsModel],
    ) -> None:
        self.workflow_id = workflow_id
        self._inputs = inputs
        self._outputs = outputs
        self._outputs_model = outputs_model
        self._checked: WeakKeyDictionary[OpusClient, _Checked] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"<TypedWorkflow {self.workflow_id}>"

    async def run(self, opus: OpusClient, inputs: InputsT, **options: Unpack[RunOptions]) -> JobOutcome:
        """Run one job; see :meth:`opus_async.OpusClient.run`.

        Args:
            opus: Runs it.
            inputs: The inputs by display name.
            options: As of :meth:`opus_async.OpusClient.run`.

        Raises:
            WorkflowChanged: The workflow is not as this module says; nothing was sent.
            OpusError: As of :meth:`opus_async.OpusClient.run`.
        """
        await self._check_once(opus, options.get("version_number"), options.get("version_id"))
        return await opus.run(self.workflow_id, inputs, **options)

    def run_many(
        self,
        opus: OpusClient,
        rows: Iterable[InputsT | JobRequest] | AsyncIterable[InputsT | JobRequest],
        **options: Unpack[StreamOptions],
    ) -> JobStream:
        """Run a job for every row; see :meth:`opus_async.OpusClient.run_many`.

        Args:
            opus: Runs them.
            rows: Inputs by display name, or what :meth:`request` makes of them.
            options: As of :meth:`opus_async.OpusClient.run_many`.

        Returns:
            The outcomes as they come; it raises :class:`~opus_async.WorkflowChanged` instead of running a row
            where the workflow, or the version that the row names, is not as this module says.
        """
        kind = _SizedRows if isinstance(rows, Sized) else _Rows
        return opus.run_many(self.workflow_id, kind(self, opus, rows), **options)

    def request(self, inputs: InputsT, **options: Unpack[RequestOptions]) -> JobRequest:
        """A row of :meth:`run_many` that has a title, a key or a time-out of its own."""
        return JobRequest(inputs, **options)

    def outputs(self, outcome: JobOutcome) -> OutputsT:
        """The outputs of a job with the types that the module says; dates are dates, JSON in texts is parsed.

        Raises:
            WorkflowChanged: One is missing, or of another type; ``outcome.outputs`` has them as they came.
            OpusError: The job did not complete; see :meth:`~opus_async.JobOutcome.raise_for_status`.
        """
        outcome.raise_for_status()
        try:
            model = self._outputs_model.model_validate(outcome.outputs)
        except ValidationError as error:
            problems = [f"output {quoted(_place(each['loc']))}: {each['msg']}" for each in error.errors()]
            raise WorkflowChanged(
                f"The outputs of a job of workflow {self.workflow_id} are not as its Python module says; "
                f"outcome.outputs has them as they came. {self._advice}",
                problems,
            ).located(job_id=outcome.job_id) from None
        return cast("OutputsT", model.model_dump(by_alias=True, exclude_unset=True))

    async def check(
        self, opus: OpusClient, *, version_number: int | None = None, version_id: str | None = None
    ) -> Workflow:
        """Compare the workflow as it is now with what this module says.

        An input or output that has gone, or is of another type, or is required where it was not or the other
        way round, and a new input that is required. Others that are new make no difference.

        Args:
            opus: Reads it.
            version_number: A version by number; None for the latest active one.
            version_id: A version by UUID; wins over the number.

        Raises:
            WorkflowChanged: With all that has changed.
            OpusError: It could not be read.
        """
        workflow = await opus.workflows.get(self.workflow_id, version=version_number, version_id=version_id)
        problems = changes("input", self._inputs, inputs_of(workflow))
        problems += changes("output", self._outputs, outputs_of(workflow))
        if problems:
            version = f", version {workflow.version}," if workflow.version is not None else ""
            raise WorkflowChanged(
                f"The workflow {quoted(workflow.name)} ({self.workflow_id}){version} is not as its Python "
                f"module says; nothing was sent. {self._advice}",
                problems,
            )
        return workflow

    @property
    def _advice(self) -> str:
        return (
            f"Write the module anew: opus-async workflow show {self.workflow_id} --python --output MODULE.py"
        )

    async def _check_once(self, opus: OpusClient, version_number: int | None, version_id: str | None) -> None:
        """Check the workflow where this client has not found it well before; callers at once share it."""
        version = (version_number, version_id)
        checked = self._checked.setdefault(opus, _Checked())
        if version in checked.versions:
            return
        async with checked.lock:
            if version not in checked.versions:
                await self.check(opus, version_number=version_number, version_id=version_id)
                checked.versions.add(version)


class _Rows(AsyncIterable[Any]):
    """Rows of a stream; each comes when its version of the workflow was found to be as expected."""

    def __init__(
        self,
        workflow: TypedWorkflow[Any, Any],
        opus: OpusClient,
        rows: Iterable[Any] | AsyncIterable[Any],
    ) -> None:
        self._workflow = workflow
        self._opus = opus
        self._rows = rows

    async def __aiter__(self) -> AsyncIterator[Any]:
        source = aiter(self._rows) if isinstance(self._rows, AsyncIterable) else iter(self._rows)
        try:
            if isinstance(source, AsyncIterator):
                async for row in source:
                    yield await self._checked(row)
            else:
                for row in source:
                    yield await self._checked(row)
        finally:  # a generator may hold a file open
            if inspect.isasyncgen(source):
                await source.aclose()
            elif inspect.isgenerator(source):
                source.close()

    async def _checked(self, row: Any) -> Any:
        pinned = (row.version_number, row.version_id) if isinstance(row, JobRequest) else (None, None)
        await self._workflow._check_once(self._opus, *pinned)  # noqa: SLF001 - a part of it
        return row


class _SizedRows(_Rows):
    """The same of rows whose number is known, which progress displays show."""

    def __len__(self) -> int:
        return len(cast("Sized", self._rows))


def _place(where: tuple[int | str, ...]) -> str:
    """The name of an output in an error of pydantic, with the place inside of it."""
    return " ".join(map(str, where))
