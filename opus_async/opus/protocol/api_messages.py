"""Values of the Opus API: the fields of its requests, and what a presign answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from opus_async.cheap_dataclass import cheap_dataclass


@cheap_dataclass()
class PresignedUpload:
    """A presigned URL to PUT one file to.

    Attributes:
        put_url: Signed, short-lived, a secret: byte-identical on the wire, in no log, repr or error.
        file_url: What goes into the payload.
    """

    put_url: str = field(repr=False)
    file_url: str


@cheap_dataclass(kw_only=True)
class InitiateFields:
    """The fields of an ``initiate``, as in ``opus.jobs.initiate``; None is not sent, or has a default."""

    workflow_id: str | None = None
    reference_entity_id: str | None = None
    title: str | None = None
    description: str | None = None
    version_id: str | None = None
    version_number: int | None = None
    ref_user_id: str | None = None
    source: str | None = None
    workspaces: str | None = None
    initial_input: Mapping[str, Any] | None = None
    web_app_id: str | None = None


@cheap_dataclass(kw_only=True)
class PresignFields:
    """The fields of a presign request.

    Attributes:
        extension: Of the file, with or without its dot.
        access_scope: Who may read it; None for the generation's default.
        original_name: Its name, without folder.
        workflow_id: The workflow that will read it.
        workspace_id: The workspace that it will lie in, where no workflow is named.
    """

    extension: str
    access_scope: str | None = None
    original_name: str | None = None
    workflow_id: str | None = None
    workspace_id: str | None = None
