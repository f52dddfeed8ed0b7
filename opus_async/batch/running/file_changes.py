"""Whether a row's files are still what was planned: between planning and upload lie hours."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from opus_async.batch.ports import RowJournal
from opus_async.errors import InvalidInputs
from opus_async.input_problems import InputProblem, ProblemCode, Unfit
from opus_async.manifests.binding.row_files import NamedFile
from opus_async.manifests.file_digests import FileDigests, FileSignature, stat_signature
from opus_async.manifests.remote_digests import is_same_version, remote_facts, same_content, signature_of
from opus_async.remote.facts import RemoteFacts
from opus_async.remote.found import Found
from opus_async.remote_urls import RemoteFile, kept_name
from opus_async.tasks import in_order


class FileChangeCheck:
    """Compares files with what the batch knows of them.

    Args:
        journal: Tells what they were.
    """

    def __init__(self, journal: RowJournal) -> None:
        self._journal = journal
        self._hasher = FileDigests()

    async def check(self, paths: Sequence[NamedFile]) -> Found:
        """Compare files with what they were when the batch was planned.

        Returns:
            What was found of documents elsewhere.

        Raises:
            InvalidInputs: One holds something else now; nothing was sent. What is missing is found by others.
            StoreUnavailable: The store of a document gives no answer.
        """
        if not paths:
            return {}
        names = [kept_name(path) for path in paths]
        signatures = await self._journal.known_files(names)
        known = {
            path: signatures[name] for path, name in zip(paths, names, strict=True) if name in signatures
        }
        remote = [path for path in known if isinstance(path, RemoteFile)]
        found = {file: facts for file, facts in await in_order(_looked_up, remote) if facts is not None}
        changed = []
        for path, before in known.items():
            if isinstance(path, RemoteFile):
                differs = path in found and await self._is_other_document(path, found[path], before)
            else:
                differs = await self._differs(path, before)
            if differs:
                changed.append(_changed(path))
        if changed:
            raise InvalidInputs(changed)
        return found

    async def _differs(self, path: Path, before: FileSignature) -> bool:
        try:
            found = os.stat(path)  # noqa: PTH116 - a thread costs more, and the upload does the same next
        except OSError:
            return False
        if stat_signature(found) == before[:3]:
            return False
        return found.st_size != before[0] or await self._hasher.of(path) != before[3]

    async def _is_other_document(self, file: RemoteFile, now: RemoteFacts, before: FileSignature) -> bool:
        if is_same_version(signature_of(file, now), before):
            return False
        return not await same_content(file, now, before, self._journal.cache)


async def _looked_up(file: RemoteFile) -> tuple[RemoteFile, RemoteFacts | None]:
    """What its store tells of a document now; None where it gives it not out: whoever sends it will tell."""
    try:
        return file, await remote_facts(file, anew=True)
    except InvalidInputs:
        return file, None


def _changed(path: NamedFile) -> InputProblem:
    return Unfit(
        "{} has changed since the batch was planned: 'batch retry' plans it anew, with what it holds now",
        f"'{path}'",
        code=ProblemCode.FILE_CHANGED,
        file=str(path),
    ).problem()
