"""Looks up the documents among the inputs of a job that lie in an object store or on a server.

It comes before inputs are bound, which does no input or output: the look-up is kept in the value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from opus_async.input_names import InputNames
from opus_async.models import Workflow
from opus_async.remote.hold import Hold
from opus_async.remote.patience import Patience, patient
from opus_async.remote_urls import RemoteFile, is_store_url, is_web_url
from opus_async.transport.urls import is_loopback

_SCHEME_ENDS_BY = 64
"""Characters within which a text that is a URL has its ``://``."""


def is_platform_file(url: str, *, base_url: str, vendor_domain: str) -> bool:
    """Whether an http(s) URL is a ``fileUrl`` of the platform, which is sent as it is.

    Those of the vendor's domain and of the host of the API are. On this machine, where a simulator and other
    servers have one name, the port counts, too.
    """
    try:
        parts, api = urlsplit(url.strip()), urlsplit(base_url)
        here = parts.port == api.port or not is_loopback(base_url)
    except ValueError:
        return True  # it is refused where it is read
    name = parts.hostname or ""
    return (name == api.hostname and here) or f".{name}".endswith(f".{vendor_domain}")


class RemoteDocuments:
    """Looks up documents, and keeps connections to where they lie until the client is closed.

    Args:
        hold: Of the client.
        is_platform_file: Whether an http(s) URL is a file that the platform has. Can be pickled.
        patience: How long stores are waited for.
    """

    def __init__(self, hold: Hold, is_platform_file: Callable[[str], bool], patience: Patience) -> None:
        self.is_platform_file = is_platform_file
        self._hold = hold
        self._patience = patience

    async def in_inputs(self, workflow: Workflow, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """The inputs, with documents looked up in those that take files."""
        names = InputNames(workflow.inputs)
        found = {
            name: await self._in_value(value)
            for name, value in inputs.items()
            if _may_be_remote(value)
            and any(field.takes_file or field.takes_files for field in names.matches(name))
        }
        return {**inputs, **found} if found else inputs

    async def in_source(self, source: Any) -> Any:
        """A source of an upload; a text with a URL is a document, whatever its host."""
        if isinstance(source, str) and is_web_url(source):
            source = RemoteFile(source.strip())
        return await self._in_value(source)

    async def _in_value(self, value: Any) -> Any:
        from opus_async.remote.found import look_up, look_up_all  # noqa: PLC0415 - most jobs have no such documents

        if isinstance(value, list | tuple):
            named = list(map(self._named, value))
            documents = [item for item in named if isinstance(item, RemoteFile)]
            if not documents:
                return value
            self._hold.take()
            with patient(self._patience):
                found = iter(await look_up_all(documents))
            items = [next(found) if isinstance(item, RemoteFile) else item for item in named]
            return tuple(items) if isinstance(value, tuple) else items
        named = self._named(value)
        if not isinstance(named, RemoteFile):
            return value
        self._hold.take()
        with patient(self._patience):
            return await look_up(named)

    def _named(self, value: Any) -> Any:
        """The document that a text names; all else as it is."""
        if not isinstance(value, str):
            return value
        remote = is_store_url(value) or (is_web_url(value) and not self.is_platform_file(value))
        return RemoteFile(value.strip()) if remote else value


def any_may_be_remote(inputs: Mapping[str, Any]) -> bool:
    """Whether documents may be among inputs: a quick look, which most inputs do not pass."""
    return any(map(_may_be_remote, inputs.values()))


def _may_be_remote(value: Any) -> bool:
    if isinstance(value, str):  # most values are, and this is asked for each
        return value.find("://", 0, _SCHEME_ENDS_BY) > 0
    if isinstance(value, list | tuple):
        return any(map(_may_be_remote, value))
    return isinstance(value, RemoteFile)
