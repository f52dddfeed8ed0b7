"""Arguments that change results: which cell fills which input, titles, keys, the version of the workflow."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from opus_async.cli import connection, platforms
from opus_async.cli.errors import WrongUse
from opus_async.cli.options import ConnectionOptions
from opus_async.remote_urls import ALLOW_QUERIES

READING = ("sheet", "delimiter", "encoding")
_FLAGS = ("pad_short_rows", "allow_outside", "allow_queries")
_HABITS = ("decimal", "dates", "true", "false")
_ORDER = ("key", "title", "description", "version_number", "version_id", *_HABITS)


@dataclass(frozen=True, kw_only=True)
class SpecOptions(ConnectionOptions):
    """Options that change results, of every verb that makes jobs.

    Attributes:
        map: ``COLUMN=INPUT`` of columns that fill another input than that of their name.
        set: ``INPUT=VALUE`` for every row that has no value of its own.
        title: A template for the titles of the jobs.
        description: A template for their descriptions.
        key: The column that names each row.
        version_number: The pinned version by number.
        version_id: The pinned version by UUID.
        allow_outside: Whether cells may name files outside of the manifest's folder.
        allow_queries: Whether documents may be named by http(s) URLs with a query.
        decimal: The sign before the fraction of numbers; None for JSON's.
        dates: The order of dates; None for ISO 8601 alone.
        true: A word for true.
        false: A word for false.
    """

    map: Sequence[str]
    set: Sequence[str]
    title: str | None
    description: str | None
    key: str | None
    version_number: int | None
    version_id: str | None
    allow_outside: bool
    allow_queries: bool
    decimal: str | None
    dates: str | None
    true: str | None
    false: str | None


@dataclass(frozen=True, kw_only=True)
class ManifestOptions(SpecOptions):
    """Options of every verb that begins with a manifest.

    Attributes:
        manifest: The manifest; several words where a shell has replaced a pattern.
        workflow: The workflow.
        sheet: The sheet of a workbook to read; None for its first visible one.
        delimiter: What separates the cells of a CSV; None to detect it.
        encoding: The encoding of a CSV or JSONL; None to detect it.
        pad_short_rows: Whether rows of a CSV with too few cells have empty ones at their end.
        accept_second_bill: Whether rows may run that may have been billed.
    """

    manifest: Sequence[str]
    workflow: str
    sheet: str | None
    delimiter: str | None
    encoding: str | None
    pad_short_rows: bool
    accept_second_bill: bool

    @property
    def about_workflow(self) -> str:
        """The workflow, as it was typed."""
        return self.workflow


OptionsT = TypeVar("OptionsT", bound=ManifestOptions)


def add_manifest(parser: argparse.ArgumentParser) -> None:
    """Add the manifest and the workflow."""
    parser.add_argument(
        "manifest",
        nargs="+",
        metavar="MANIFEST",
        help="CSV, JSONL, XLSX or Parquet, a row for each job; or a folder or a quoted glob of documents; "
        "each can be a URL: s3://, gs://, az:// ...",
    )
    kinds = "; ".join(f"{entry.title}: {entry.workflow_help}" for entry in platforms.entries())
    parser.add_argument(
        "--workflow", required=True, metavar="ID", help=f"whose job each row becomes. {kinds}"
    )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add sheet, delimiter and encoding, for manifests where these are not detected rightly."""
    group = parser.add_argument_group("reading the manifest, where that is not found out")
    group.add_argument("--sheet", metavar="NAME", help="of a workbook; its first visible one by default")
    group.add_argument("--delimiter", metavar="D", help="of a CSV: one character, or 'tab'")
    group.add_argument("--encoding", metavar="E", help="of a CSV or JSONL, e.g. cp1252")
    group.add_argument(
        "--pad-short-rows",
        action="store_true",
        help="take the cells that a row of a CSV has too few for empty ones; else it is refused",
    )


def add_outside(parser: argparse.ArgumentParser) -> None:
    """Add ``--allow-outside`` and ``--allow-queries``."""
    parser.add_argument(
        "--allow-outside",
        action="store_true",
        help="let cells name files outside of the manifest's folder: any file of yours, if they say so",
    )
    parser.add_argument(
        ALLOW_QUERIES,
        action="store_true",
        help="let documents be named by http(s) URLs with a query, '?id=7', which is kept in the batch "
        "directory in clear: not for what gives access",
    )


def add_order(parser: argparse.ArgumentParser) -> None:
    """Add mapping, constants, templates, key and version."""
    group = parser.add_argument_group("from a row to a job")
    add = group.add_argument
    leaves_out = "a column that fills another input; COLUMN= leaves it out"
    add("--map", action="append", default=[], metavar="COLUMN=INPUT", help=leaves_out)
    add(
        "--set",
        action="append",
        default=[],
        metavar="INPUT=VALUE",
        help="for every row that has no own value",
    )
    add("--title", metavar="TEMPLATE", help="of the jobs, with columns in braces: 'Invoice {Number}'")
    add("--description", metavar="TEMPLATE", help="of the jobs, with columns in braces")
    add("--key", metavar="COLUMN", help="the column that names each row; else a digest of its content does")
    _add_habits(parser)
    connection.add_version(parser, "pin the workflow version by number")
    parser.add_argument("--version-id", metavar="UUID", help="pin it by UUID")


def _add_habits(parser: argparse.ArgumentParser) -> None:
    """Add how numbers, dates and truth values are written."""
    group = parser.add_argument_group(
        "how cells are written, where that is not 1234.56, 2025-11-09, true or yes"
    )
    add = group.add_argument
    add("--decimal", choices=(",", "."), help="before the fraction of numbers: 1.234,56 or 1,234.56")
    add("--dates", choices=("dmy", "mdy", "ymd"), help="the order of dates: 9.11.2025 is dmy")
    add("--true", metavar="WORD", help="a word for true, e.g. ja")
    add("--false", metavar="WORD", help="a word for false, e.g. nein")


def checked(options: OptionsT) -> OptionsT:
    """The options with the id of the workflow, which may have been the link of a page.

    Raises:
        WrongUse: That names no workflow of the platform.
    """
    workflow = platforms.checked_workflow(platforms.target_of(options), options.workflow)
    return replace(options, workflow=workflow)


def manifest_of(options: ManifestOptions) -> str:
    """The manifest that was named.

    Raises:
        WrongUse: There are several words: a shell has replaced a glob.
    """
    first, *more = options.manifest
    if more:
        raise WrongUse(
            f"one manifest, please, and these are {len(more) + 1}: {first}, {more[0]} ... A pattern of "
            "documents has to stand in quotes, so that the shell leaves it alone: 'documents/*.pdf'"
        )
    return str(first)


def order_of(options: SpecOptions) -> dict[str, Any]:
    """The fields of :class:`opus_async.batch.options.BatchSpec` that were given, by name.

    Raises:
        WrongUse: One of them cannot be, or means nothing to the platform.
    """
    from opus_async.manifests.binding.habits import Habits

    entry = platforms.target_of(options).entry
    for name in entry.unused_options:
        if getattr(options, name, None):
            raise WrongUse(f"--{name.replace('_', '-')}: {entry.title} has nothing that it is for")
    habits = {name: getattr(options, name) for name in _HABITS}
    try:
        Habits(**habits)
    except ValueError as error:
        raise WrongUse(str(error)) from None
    given = {
        "columns": pairs(options.map, "--map", "COLUMN=INPUT"),
        "constants": pairs(options.set, "--set", "INPUT=VALUE"),
        "title": options.title,
        "description": options.description,
        "key": options.key,
        "version_number": options.version_number,
        "version_id": options.version_id,
        **habits,
    }
    return {name: value for name, value in given.items() if value not in (None, {})}


def reading_of(options: ManifestOptions) -> dict[str, Any]:
    """How the manifest is read, as far as that was given, by name."""
    return {"pad_short_rows": options.pad_short_rows} | {
        name: value for name in READING if (value := getattr(options, name)) is not None
    }


def words(options: ManifestOptions) -> list[str]:
    """The options of this module as words of a command line, to be typed again."""
    said: list[str] = []
    for name in ("platform", "workflow", *READING, *_ORDER):
        if (value := getattr(options, name)) is not None:
            said += [f"--{name.replace('_', '-')}", str(value)]
    said += [f"--{name.replace('_', '-')}" for name in _FLAGS if getattr(options, name)]
    for flag, values in (("--map", options.map), ("--set", options.set)):
        for value in values:
            said += [flag, value]
    return said


def folder_name(manifest: str) -> str:
    """Suggest a name for the batch directory: ``invoices-batch`` for ``invoices.csv``."""
    path = Path(manifest)
    while any(letter in path.name for letter in "*?["):
        path = path.parent
    return f"{path.stem or 'my'}-batch"


def pairs(texts: Sequence[str], option: str, form: str) -> dict[str, str]:
    """Read ``NAME=VALUE`` of an option that can be given several times.

    Raises:
        WrongUse: There is no ``=``, or a name comes twice.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        # The name of a column can hold any character, and so can a value.
        name, equals, value = text.rpartition("=") if option == "--map" else text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise WrongUse(f"{option} wants {form}, got {text!r}")
        if name in pairs:
            raise WrongUse(f"{option} names {name!r} twice; a list is one value: {option} '{name}=a; b'")
        pairs[name] = value
    return pairs
