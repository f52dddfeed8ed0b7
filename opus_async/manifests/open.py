"""Opens a manifest, by its extension or as a folder or pattern."""

from __future__ import annotations

import os
from pathlib import Path

from opus_async.arguments import FLAG, PATH, TEXT, checked
from opus_async.errors import ConfigurationError, ManifestError
from opus_async.manifests.model import Manifest
from opus_async.manifests.readers.csv_file import DelimitedManifest
from opus_async.manifests.readers.excel_file import WorkbookManifest
from opus_async.manifests.readers.folder import opened_folder, opened_pattern
from opus_async.manifests.readers.jsonl_file import JsonLinesManifest
from opus_async.manifests.readers.listing import has_magic
from opus_async.manifests.readers.parquet_file import ParquetManifest
from opus_async.manifests.readers.remote_folder import remote_folder, remote_pattern
from opus_async.manifests.readers.remote_table import RemoteTable, refuse_secret
from opus_async.manifests.readers.source_file import readable
from opus_async.remote.listing import is_document, is_folder
from opus_async.remote_urls import RemoteFile, is_pattern, scheme_of

_DELIMITED = frozenset({".csv", ".tsv", ".tab", ".psv", ".txt"})
_JSON = frozenset({".jsonl", ".ndjson", ".json"})
_WORKBOOKS = frozenset({".xlsx", ".xlsm"})
_PARQUET = frozenset({".parquet", ".pq"})
_TABLES = _DELIMITED | _JSON | _WORKBOOKS | _PARQUET
_OTHER_TABLES = frozenset({".xls", ".xlsb", ".ods", ".numbers"})
_COMPRESSED = frozenset({".gz", ".zip", ".bz2", ".xz", ".zst", ".7z", ".tar"})


@checked(
    ConfigurationError,
    where=PATH,
    sheet=TEXT,
    delimiter=TEXT,
    encoding=TEXT,
    pad_short_rows=FLAG,
    allow_query=FLAG,
)
def open_manifest(
    where: str | os.PathLike[str],
    *,
    sheet: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    pad_short_rows: bool = False,
    allow_query: bool = False,
) -> Manifest:
    """Open a manifest: a file by its extension, a folder, or a pattern such as ``docs/**/*.pdf``.

    Each can be a URL, too: ``s3://bucket/invoices.csv``, ``gs://bucket/docs/``, ``az://container/docs/*.pdf``.

    Reads the first part of a file, all of a workbook's sheet, the names in a folder: call it in a thread.

    Args:
        where: The path, pattern or URL. What exists is a path, whatever its name.
        sheet: The sheet of a workbook to read; None for its first visible one.
        delimiter: What separates cells of a CSV: one character, or ``tab``; None to detect it.
        encoding: The encoding of a CSV or JSONL; None to detect it.
        pad_short_rows: Whether a row of a CSV that has too few cells has empty ones at its end; else it is
            refused. Of other kinds no row can have too few.
        allow_query: Whether it may be an http(s) URL with a query: a batch keeps it, to read it again.

    Raises:
        ManifestError: It is no manifest, cannot be read, or an option does not apply to its kind.
        ConfigurationError: An argument is of the wrong kind.
    """
    if not os.fspath(where):
        raise ManifestError("no manifest was named: give a file, a folder, or a pattern in quotes")
    told = {"sheet": sheet, "delimiter": delimiter, "encoding": encoding}
    options = {name: value for name, value in told.items() if value is not None}
    if scheme_of(os.fspath(where)) is not None:
        url = os.fspath(where).strip()
        refuse_secret(url, allow_query=allow_query)
        return _opened_remote(url, options, pad_short_rows=pad_short_rows)
    path = Path(where).absolute()
    with readable(path):
        exists, is_folder = path.exists(), path.is_dir()
    if is_folder or (not exists and has_magic(os.fspath(where))):
        _refuse_options(path, options, ())
        return opened_folder(path) if is_folder else opened_pattern(path)
    return _opened_file(path, options, pad_short_rows=pad_short_rows)


def _opened_remote(url: str, options: dict[str, str], *, pad_short_rows: bool) -> Manifest:
    """A manifest elsewhere: of one by a pattern, or by what is no manifest by its name, the documents."""
    if is_pattern(url) and not is_document(url):
        _refuse_options(RemoteFile(url), options, ())
        return remote_pattern(url)
    if RemoteFile(url).suffix.lower() not in _TABLES and is_folder(url):
        _refuse_options(RemoteFile(url), options, ())
        return remote_folder(url)
    return RemoteTable(url, lambda path: _opened_file(path, options, pad_short_rows=pad_short_rows))


def _opened_file(path: Path, options: dict[str, str], *, pad_short_rows: bool) -> Manifest:
    """The manifest in a file, by its extension."""
    suffix = path.suffix.lower()
    if suffix in _DELIMITED:
        _refuse_options(path, options, ("delimiter", "encoding"))
        return DelimitedManifest(path, **options, pad_short_rows=pad_short_rows)
    if suffix in _JSON:
        _refuse_options(path, options, ("encoding",))
        return JsonLinesManifest(path, **options)
    if suffix in _WORKBOOKS:
        _refuse_options(path, options, ("sheet",))
        return WorkbookManifest(path, **options)
    if suffix in _PARQUET:
        _refuse_options(path, options, ())
        return ParquetManifest(path)
    raise _unknown(path, suffix)


def _refuse_options(path: Path | RemoteFile, options: dict[str, str], allowed: tuple[str, ...]) -> None:
    """Refuse options that this kind of manifest does not have: to ignore them could change results."""
    for name in options:
        if name not in allowed:
            raise ManifestError(f"{path.name} has no {name} to choose: leave out --{name}")


def _unknown(path: Path, suffix: str) -> ManifestError:
    """The error for a file that is no manifest by its name."""
    if not path.exists():
        return ManifestError(f"{path} does not exist: check the path")
    if suffix in _OTHER_TABLES:
        return ManifestError(f"{path.name}: {suffix} cannot be read: save the table as .xlsx or as CSV UTF-8")
    if suffix in _COMPRESSED:
        return ManifestError(f"{path.name} is compressed: unpack it first")
    return ManifestError(
        f"{path.name} is no manifest by its name: that ends in .csv, .tsv, .jsonl, .xlsx or .parquet. For "
        f"one job per document give their folder, or a pattern in quotes such as '*{suffix}'"
    )
