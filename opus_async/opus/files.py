"""``opus.files``: uploads outside a run, and downloads."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from typing import IO, Any, Literal, TypeAlias, cast, get_args

from opus_async.arguments import (
    FILE,
    FILES,
    FLAG,
    FUNCTION,
    PATH,
    TEXT,
    URLS,
    WORKFLOW_ID,
    checked,
    instance,
    one_of,
)
from opus_async.config import Limits
from opus_async.errors import InvalidInputs
from opus_async.input_problems import Unfit
from opus_async.models import DownloadedFile, UploadedFile
from opus_async.opus.downloads import Downloader
from opus_async.opus.protocol.api_messages import PresignFields
from opus_async.opus.protocol.files import check_size, extension_of
from opus_async.opus.protocol.output_files import file_urls
from opus_async.opus.protocol.undocumented import checked_file_url
from opus_async.opus.remote_documents import RemoteDocuments
from opus_async.opus.sources import file_info
from opus_async.opus.uploads import Progress, Uploader
from opus_async.opus.web_uploads import WebUpload, held
from opus_async.outcome import JobOutcome
from opus_async.remote_urls import RemoteFile
from opus_async.tasks import in_order
from opus_async.transport.sources import Source, digest

AccessScope: TypeAlias = Literal["all", "user", "workspace", "organization", "unlisted"]
FileSource: TypeAlias = str | os.PathLike[str] | bytes | IO[bytes] | WebUpload | RemoteFile


class Files:
    """Uploads outside a run, and downloads; nothing is remembered from one to the next."""

    def __init__(
        self, uploader: Uploader, limits: Limits, downloader: Downloader, documents: RemoteDocuments
    ) -> None:
        self._documents = documents
        self._uploader = uploader
        self._limits = limits
        self._downloader = downloader

    @checked(
        source=FILE,
        filename=TEXT,
        access_scope=one_of(*get_args(AccessScope)),
        workflow_id=WORKFLOW_ID,
        workspace_id=TEXT,
        digest=FLAG,
        on_progress=FUNCTION,
    )
    async def upload(
        self,
        source: FileSource,
        *,
        filename: str | None = None,
        access_scope: AccessScope = "organization",
        workflow_id: str | None = None,
        workspace_id: str | None = None,
        digest: bool = True,
        on_progress: Progress | None = None,
    ) -> UploadedFile:
        """Upload one file (``POST /job/file/upload``, then a PUT to storage).

        Args:
            source: A path, bytes, a seekable binary file object, or the upload of a web framework: an object
                with a ``filename`` and a sync or async ``read``. It is read from its start and not closed. Or
                a document elsewhere, by its URL (``s3://``, ``gs://``, ``az://``, ``https://``): it is sent
                from there, block by block.
            filename: Needed for bytes: its ending tells the type.
            access_scope: Who may read it; v1 knows ``workspace`` and ``unlisted`` only, and takes the default
                as ``workspace``.
            workflow_id: The workflow that will read it; give it whenever it is known, or the file may lie in
                another workspace where the workflow's agents cannot read it.
            workspace_id: Instead of ``workflow_id``.
            digest: Whether to compute the SHA-256, at the price of reading the file twice.
            on_progress: Called with bytes sent and bytes in all.

        Raises:
            InvalidInputs: No such file, too large, empty, or of a type the platform does not take.
            UploadError: It changed while it was sent, or storage refused it.
        """
        try:
            found = await self._documents.in_source(await held(source, self._limits.max_file_bytes))
            facts = file_info(found, filename)
            extension = extension_of(facts.filename)
            check_size(facts.filename, facts.size, self._limits.max_file_bytes)
        except Unfit as unfit:
            raise InvalidInputs([unfit.problem()]) from None
        opened = cast("Source", facts.source)
        fields = PresignFields(
            extension=extension,
            access_scope=access_scope,
            original_name=facts.filename,
            workflow_id=workflow_id,
            workspace_id=workspace_id,
        )
        sha256 = await _digest(opened) if digest else None
        return await self._uploader.send(opened, fields, sha256=sha256, on_progress=on_progress)

    @checked(sources=FILES)
    async def upload_many(self, sources: Iterable[FileSource], **options: Any) -> list[UploadedFile]:
        """Upload files in parallel, within ``upload_concurrency``; answers come in the order of the files.

        Args:
            sources: Paths, bytes or binary file objects.
            options: Those of :meth:`upload`, for all of them.

        Raises:
            OpusError: Of the first upload that fails, as :meth:`upload` says; it cancels the rest.
        """
        return await in_order(partial(self.upload, **options), list(sources))

    @checked(outcome=instance(JobOutcome))
    def urls_of(self, outcome: JobOutcome) -> dict[str, list[str]]:
        """The files among the outputs of a job, by their URLs; nothing is sent.

        An output of a file type is one whatever its URL; an ``array``, or a value without a type, where all
        of its URLs are on the platform's host for files (observed, not documented).

        Args:
            outcome: Of ``run``, ``run_many`` or ``jobs.outcome``.

        Returns:
            Output name, as in ``outcome.outputs`` -> its ``fileUrl``, or several in their order, for
            :meth:`download` and :meth:`download_many`. Empty for a job without files or that is not ``ok``.
        """
        return file_urls(outcome.results) if outcome.ok else {}

    @checked(destination=PATH, workspace_id=TEXT, overwrite=FLAG)
    async def download(
        self,
        url: str,
        destination: str | os.PathLike[str],
        *,
        workspace_id: str | None = None,
        overwrite: bool = False,
    ) -> DownloadedFile:
        """Fetch one file (``POST /job/file/download``, then a GET from storage).

        The endpoint is observed, not documented: the vendor may change it without notice.

        The file has its name only when it is whole: until then it lies beside it as
        ``.<name>.<random>.part``, which is gone after any failure and any cancel.

        Args:
            url: The ``fileUrl`` of an output, or of an upload.
            destination: A file, or a folder: one that exists, or a text that ends in a separator, which is
                made if need be. In a folder the file is named after the URL, made safe, and never leaves
                it, whatever the URL says; a name that is taken gets `` (2)``.
            workspace_id: Where the file lives (``Workflow.workspace_id``), where it is known.
            overwrite: Whether a file of that name is replaced. So is a link, which is never followed.

        Raises:
            InvalidInputs: It is no ``fileUrl``, or the destination exists or cannot be; nothing was sent.
            DownloadError: Storage refused, or the disk did.
            APIError: The platform refused, e.g. ``NotFound``.
        """
        from opus_async.opus.download_paths import destination_of  # noqa: PLC0415 - most programs download nothing

        wanted = checked_file_url(url)
        place = destination_of(wanted, destination, overwrite=overwrite)
        return await self._downloader.fetch(wanted, place, workspace_id=workspace_id)

    @checked(urls=URLS, folder=PATH, workspace_id=TEXT, overwrite=FLAG)
    async def download_many(
        self,
        urls: Iterable[str],
        folder: str | os.PathLike[str],
        *,
        workspace_id: str | None = None,
        overwrite: bool = False,
    ) -> list[DownloadedFile]:
        """Fetch files into a folder in parallel; answers come in the order of the URLs.

        As :meth:`download`, which see. The folder is made if need be. A URL given twice is fetched once; of
        different ones with the same name, the first in order gets it, the next `` (2)``. The first failure
        cancels the rest and is raised; files that were whole by then stay.
        """
        from opus_async.opus.download_paths import destinations_in  # noqa: PLC0415 - as in download

        wanted = [checked_file_url(url) for url in urls]
        places = destinations_in(folder, dict.fromkeys(wanted), overwrite=overwrite)

        async def fetch(url: str) -> DownloadedFile:
            return await self._downloader.fetch(url, places[url], workspace_id=workspace_id)

        found = dict(zip(places, await in_order(fetch, list(places)), strict=True))
        return [found[url] for url in wanted]


_digest = digest  # the name is taken by an argument that is a contract
