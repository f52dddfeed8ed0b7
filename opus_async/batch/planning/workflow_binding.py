"""The workflow of a batch, read from its platform, and how the manifest's columns fill its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opus_async.batch.meta import WorkflowMeta
from opus_async.batch.options import BatchSpec, ManifestPolicy
from opus_async.batch.ports import Client
from opus_async.errors import OpusError
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.manifests import FOLDERS
from opus_async.manifests.binding.binding import Binding
from opus_async.platform import Cache


async def open_workflow(client: Client, spec: BatchSpec, memory: Cache | None) -> Lifecycle[Any, Any]:
    """How a job of this workflow runs, with its platform open.

    Args:
        client: Of the platform.
        spec: Names the workflow and its version.
        memory: Where the platform keeps what it prepared; None for nowhere.

    Raises:
        OpusError: The workflow cannot be read.
    """
    lifecycle = client.lifecycle(
        spec.workflow_id,
        memory=memory,
        version_number=spec.version_number,
        version_id=spec.version_id,
    )
    try:
        await lifecycle.platform.open()
    except OpusError as error:
        raise error.located(stage=lifecycle.platform.stages.bind) from None
    return lifecycle


def bind(
    spec: BatchSpec,
    lifecycle: Lifecycle[Any, Any],
    kind: str,
    rules: ManifestPolicy,
    *,
    constants: Mapping[str, Any] | None = None,
    constants_in_digest: bool = True,
) -> Binding:
    """From the cells of a manifest to the inputs of the workflow.

    Args:
        spec: Mapping, constants and templates.
        lifecycle: Its platform is open.
        kind: Of the manifest.
        rules: What cells may name.
        constants: In place of those of the spec: files in them have full paths.
        constants_in_digest: As in :class:`opus_async.manifests.binding.binding.Binding`.

    Raises:
        ManifestError: The spec does not fit the workflow.
    """
    return Binding(
        lifecycle.platform.workflow,
        columns=spec.columns,
        constants=spec.constants if constants is None else constants,
        title=spec.title,
        description=spec.description,
        key=spec.key,
        version_number=spec.version_number,
        version_id=spec.version_id,
        folder=kind in FOLDERS,
        allow_outside=rules.allow_outside,
        allow_queries=rules.allow_queries,
        constants_in_digest=constants_in_digest,
        habits=spec.habits,
        is_platform_file=lifecycle.platform.has_file,
    )


def workflow_meta(lifecycle: Lifecycle[Any, Any]) -> WorkflowMeta:
    """What the platform tells of the workflow for people, for the ledger."""
    platform = lifecycle.platform
    return WorkflowMeta(name=platform.workflow.name, job_page=platform.job_page)


def stage_names(lifecycle: Lifecycle[Any, Any]) -> list[str]:
    """The platform's names of stages, in order."""
    stages = lifecycle.platform.stages
    return [stages.bind, stages.prepare, stages.create, stages.start, stages.watch, stages.collect]
