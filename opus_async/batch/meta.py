"""What a ledger knows of its batch as a whole: its table ``meta``, typed. Read and written here alone.

Older ledgers lack some of it, and newer ones may have more: what is missing has a default, what is unknown is
kept as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from opus_async.batch.options import BatchSpec, ManifestPolicy, RunSettings


def _from_facts(kind: type[BatchSpec | ManifestPolicy | RunSettings]) -> BeforeValidator:
    return BeforeValidator(lambda value: kind.from_facts(value) if isinstance(value, Mapping) else value)


_AS_FACTS = PlainSerializer(lambda value: value.as_facts())


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    def as_facts(self) -> dict[str, Any]:
        """The fields that are set, as JSON, for the ledger."""
        return self.model_dump(mode="json", exclude_unset=True)


class ManifestMeta(_Stored):
    """Where the rows came from when they were planned last.

    Attributes:
        manifest: As it was named: a file, a folder or a glob.
        sheet: Of a workbook; None for its first visible one.
        delimiter: Of a table in text; None where it was found out.
        encoding: Of a text; None where it was found out.
        pad_short_rows: Whether rows of a CSV with too few cells have empty ones at their end.
        path: The file or folder in full.
        kind: ``csv``, ``jsonl``, ``xlsx``, ``parquet``, ``folder`` or ``glob``.
        base: The folder that relative files start at.
        stamp: Changes with the manifest.
    """

    manifest: str = ""
    sheet: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    pad_short_rows: bool = True
    path: str | None = None
    kind: str = ""
    base: str = "."
    stamp: str = ""


class ColumnMeta(_Stored):
    """What a column of the manifest is for; see :class:`opus_async.manifests.binding.columns.BoundColumn`.

    Attributes:
        column: Its name.
        input: The variable name of the input that it fills; None for none.
        display_name: Of that input.
        reserved: The reserved word that it is, ``key`` say; None for none.
        file: Whether the input takes files.
        is_key: Whether it names the rows.
        ignored: Whether it was left out by request.
        how: How it was bound.
        problem: What is wrong with it.
        warning: What may be wrong with it.
    """

    column: str
    input: str | None = None
    display_name: str | None = None
    reserved: str | None = None
    file: bool = False
    is_key: bool = False
    ignored: bool = False
    how: str | None = None
    problem: str | None = None
    warning: str | None = None


class WorkflowMeta(_Stored):
    """What the platform told of the workflow, for people.

    Attributes:
        name: What it is called; empty where that was not told.
        job_page: URL of the page of a job, with ``{job_id}`` in place of its id; None where there is none.
    """

    name: str = ""
    job_page: str | None = None


class ClientMeta(_Stored):
    """How the client was set up, for a resume to take over.

    Attributes:
        limits: Field -> value of :class:`opus_async.Limits`.
        retry: Field -> value of :class:`opus_async.RetryPolicy`.
    """

    limits: Mapping[str, Any] = {}
    retry: Mapping[str, Any] = {}


class Fingerprint(_Stored):
    """What changes the results of a batch, and where its jobs are made.

    Attributes:
        workflow_id: The workflow.
        platform: Its platform.
        host: Of the platform.
        generation: Of its API.
    """

    workflow_id: str | None = None
    platform: str | None = None
    host: str | None = None
    generation: str | None = None


class BatchMeta(_Stored):
    """What a ledger knows of its batch as a whole.

    Attributes:
        schema_version: Of the ledger.
        created_at: In seconds since the epoch.
        fingerprint: What changes results.
        order: What was asked for; ledgers have it under this name.
        constants: Input -> value for every row that has none, files with full paths.
        constants_in_digests: Whether the digests of rows are made of their constants, too.
        settings: How it is run.
        rules: What is tolerated of the manifest.
        manifest: Where the rows come from.
        binding: What each column is for.
        stages: The platform's names of stages, in order.
        client: How the client was set up.
        workflow: What the platform told of the workflow.
    """

    schema_version: int | None = None
    created_at: float | None = None
    fingerprint: Fingerprint = Fingerprint()
    order: Annotated[BatchSpec, _from_facts(BatchSpec), _AS_FACTS] = BatchSpec(workflow_id="")
    constants: Mapping[str, Any] = {}
    constants_in_digests: bool = False
    settings: Annotated[RunSettings, _from_facts(RunSettings), _AS_FACTS] = RunSettings()
    rules: Annotated[ManifestPolicy, _from_facts(ManifestPolicy), _AS_FACTS] = ManifestPolicy(
        allow_outside=True, allow_queries=True
    )
    manifest: ManifestMeta = ManifestMeta()
    binding: tuple[ColumnMeta, ...] = ()
    stages: tuple[str, ...] = ()
    client: ClientMeta = ClientMeta()
    workflow: WorkflowMeta = WorkflowMeta()

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Read the facts that a ledger holds.

        Raises:
            ValueError: It makes no sense.
        """
        return cls.model_validate(dict(facts))
