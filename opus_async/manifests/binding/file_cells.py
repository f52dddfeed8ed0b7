"""Reads cells that name files: paths, patterns, URLs of earlier uploads; one, or several with semicolons."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from opus_async.input_problems import ProblemCode, Unfit
from opus_async.manifests.binding.cells import split_list, to_json_value
from opus_async.manifests.binding.globs import Globs
from opus_async.manifests.binding.remote_globs import RemoteGlobs
from opus_async.manifests.paths import as_written
from opus_async.manifests.readers.listing import has_magic
from opus_async.models import InputField
from opus_async.remote_urls import (
    ALLOW_QUERIES,
    Place,
    RemoteFile,
    RemoteFolder,
    carries_query,
    carries_secret,
    is_pattern,
    is_web_url,
    kept,
    scheme_of,
    shown,
    without_secrets,
)
from opus_async.text import quoted


def takes_files(field: InputField) -> bool:
    """Whether an input is a file or a list of files."""
    return field.takes_file or field.takes_files


class FileCells:
    """Reads the cells of inputs that take a file or a list of files.

    Args:
        literal: Whether a text is exactly one path, as in the listing of a folder: then a semicolon, a star
            or a space around it is part of the name.
        is_platform_file: Whether an http(s) URL is a file that the platform has; any other is a document.
        allow_queries: Whether http(s) URLs may have a query, which is kept as all of a cell is.

    Attributes:
        remote_globs: Expands patterns of documents elsewhere.
    """

    def __init__(
        self,
        *,
        literal: bool = False,
        is_platform_file: Callable[[str], bool] = is_web_url,
        allow_queries: bool = False,
    ) -> None:
        self.remote_globs = RemoteGlobs()
        self._literal = literal
        self._globs = Globs()
        self._is_platform_file = is_platform_file
        self._allow_queries = allow_queries

    def expand(self, field: InputField, value: Any, base: Place) -> Any:
        """The cell with patterns replaced by the files that they match now; what is no text stays as it is.

        Paths are those of this system, see :func:`~opus_async.manifests.paths.as_written`. Patterns of URLs
        that ``remote_globs`` has not looked up before are looked up now, which takes a moment.

        Raises:
            Unfit: A pattern matches no file, or more than the one that the input takes; a URL holds what may
                be a secret, which nothing that is kept may; or there is no folder that a path could start
                at. The text completes the sentence "column X ...".
        """
        if field.takes_files:
            return [found for item in self._items(value) for found in self._matches(item, base)]
        if not isinstance(value, str):
            return to_json_value(value)
        found = self._matches(self._trimmed(value), base)
        if len(found) > 1:
            raise Unfit(
                "has the pattern {} for one file, and {} files match it",
                quoted(without_secrets(value)),
                f"{len(found):,}",
                code=ProblemCode.NO_MATCH,
            )
        return found[0]

    def given(self, field: InputField, value: Any, base: Place) -> Any:
        """What the input is given: a path below ``base``, a document elsewhere, the URL of an earlier upload.

        A list of these for a list.
        """
        if field.takes_files:
            return [self._given(item, base) for item in self._items(value)]
        return self._given(self._trimmed(value), base)

    def remote_patterns(self, field: InputField, value: Any, base: Place) -> list[str]:
        """The patterns in a cell that are to be looked up elsewhere."""
        if self._literal or not isinstance(value, str | list | tuple):
            return []
        items = self._items(value) if field.takes_files else [self._trimmed(value)]
        given = [self._given(item, base) for item in items if isinstance(item, str) and has_magic(item)]
        return [item.url for item in given if isinstance(item, RemoteFile) and is_pattern(item.url)]

    def as_kept(self, value: Any) -> Any:
        """A cell as it may be kept: without what in a URL gives access, or may where that is not allowed."""
        if isinstance(value, list | tuple):
            return [self.as_kept(item) for item in value]
        write = kept if self._allow_queries else shown
        return without_secrets(value, write=write) if isinstance(value, str) else value

    def named(self, field: InputField, value: Any) -> list[Any]:
        """The parts of a cell as they are written, in the order of :meth:`given`."""
        return self._items(value) if field.takes_files else [value]

    def _items(self, value: Any) -> list[Any]:
        if isinstance(value, list | tuple):
            return list(value)
        return split_list(value) if isinstance(value, str) and not self._literal else [value]

    def _trimmed(self, value: Any) -> Any:
        return value.strip() if isinstance(value, str) and not self._literal else value

    def _matches(self, item: Any, base: Place) -> list[Any]:
        if not isinstance(item, str):
            return [to_json_value(item)]
        given = self._given(item, base)
        if isinstance(given, RemoteFile):
            _refuse_unclear(item, base)
            self._refuse_secret(given.url)
            return [item] if self._literal else self._remote_matches(item, given)
        if self._literal:
            return [item]
        if is_url(item):
            self._refuse_secret(item)
            return [item]
        base = base if isinstance(base, Path) else Path.cwd()  # of an absolute path it does not matter
        item = as_written(item, base)
        if not has_magic(item):
            return [item]
        found = self._globs.expand(item, base)
        if not found:
            raise Unfit(
                "has the pattern {}, which matches no file in {}",
                quoted(without_secrets(item)),
                quoted(base),
                code=ProblemCode.NO_MATCH,
            )
        return list(found)

    def _remote_matches(self, item: str, file: RemoteFile) -> list[str]:
        """The document itself, or those that match: each as the cell could have named it."""
        if not is_pattern(file.url):
            return [item.strip()]
        found = self.remote_globs.expand(file.url)
        if not found:
            raise Unfit(
                "has the pattern {}, which matches no document", quoted(file), code=ProblemCode.NO_MATCH
            )
        return list(found)

    def _refuse_secret(self, url: str) -> None:
        """Raise Unfit for a URL that may not be kept."""
        file = RemoteFile(url)
        if carries_secret(url):
            raise Unfit(
                "has a URL with a password or a signature, {}, and rows are kept until they are done: name "
                "the document without it (s3://, gs://, az://), with credentials where its library looks for "
                "them",
                quoted(file),
                code=ProblemCode.NOT_SUPPORTED,
                file=str(file),
            )
        if carries_query(url) and not self._allow_queries:
            raise Unfit(
                "has a URL with a query, {}, which may hold a secret under any name, and rows are kept until "
                "they are done: name the document without it",
                quoted(file),
                fix=f"or {ALLOW_QUERIES}, if what follows the '?' gives no access by itself",
                code=ProblemCode.NOT_SUPPORTED,
                file=str(file),
            )

    def _given(self, item: Any, base: Place) -> Any:
        if not isinstance(item, str) or not item:
            return item
        if "://" in item and scheme_of(item) is not None:
            platforms = is_web_url(item) and self._is_platform_file(item)
            return item if platforms else RemoteFile(item.strip())
        if isinstance(base, RemoteFolder):
            return Path(item) if item.startswith("/") else base / item
        return _below(base, item)


def _refuse_unclear(item: str, base: Place) -> None:
    """Raise Unfit for a path that would start inside of the file in which the manifest lies."""
    if isinstance(base, RemoteFolder) and base.is_inside_file and scheme_of(item) is None:
        raise Unfit(
            "names {} beside the manifest, which lies inside of another file, {}",
            quoted(item),
            quoted(base),
            fix="name the document by its whole URL, or put the manifest into the folder of its documents",
            code=ProblemCode.NO_FILE,
            file=item,
        )


def is_url(value: str) -> bool:
    """Whether a text is an http(s) URL: then it names no local file."""
    return value.lstrip()[:8].lower().startswith(("http://", "https://"))


@lru_cache(maxsize=1024)  # a row is asked for its files five times over, of a few hundred rows at once
def _below(base: Path, path: str) -> Path:
    return base / path
