"""The arguments that change results: which cell fills which input, titles, keys, the version."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opus_async.cli import connection
from opus_async.cli.errors import WrongUse
from opus_async.cli.options import ConnectionOptions

READING = ("sheet", "delimiter", "encoding")
_ORDER = ("key", "title", "description", "version_number", "version_id")


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
    """

    map: Sequence[str]
    set: Sequence[str]
    title: str | None
    description: str | None
    key: str | None
    version_number: int | None
    version_id: str | None
    allow_outside: bool


@dataclass(frozen=True, kw_only=True)
class ManifestOptions(SpecOptions):
    """Options of every verb that begins with a manifest.

    Attributes:
        manifest: The manifest; several words where a shell has replaced a pattern.
        workflow: The workflow.
        sheet: Of a workbook; None for its first visible one.
        delimiter: Of a table in text; None to find it out.
        encoding: Of a text; None to find it out.
        accept_second_bill: Whether rows may run that may have been billed.
    """

    manifest: Sequence[str]
    workflow: str
    sheet: str | None
    delimiter: str | None
    encoding: str | None
    accept_second_bill: bool


def add_manifest(parser: argparse.ArgumentParser) -> None:
    """Add the manifest, and how it is read."""
    parser.add_argument(
        "manifest",
        nargs="+",
        metavar="MANIFEST",
        help="CSV, JSONL, XLSX or Parquet, a row for each job; or a folder or a quoted glob of documents",
    )
    parser.add_argument(
        "--workflow", type=connection.workflow_id, required=True, metavar="ID", help=connection.WORKFLOW_ID
    )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add how a manifest is read, where that is not found out rightly."""
    group = parser.add_argument_group("reading the manifest, where that is not found out")
    group.add_argument("--sheet", metavar="NAME", help="of a workbook; its first visible one by default")
    group.add_argument("--delimiter", metavar="D", help="of a CSV: one character, or 'tab'")
    group.add_argument("--encoding", metavar="E", help="of a CSV or JSONL, e.g. cp1252")


def add_outside(parser: argparse.ArgumentParser) -> None:
    """Add what a manifest is trusted with."""
    parser.add_argument(
        "--allow-outside",
        action="store_true",
        help="let cells name files outside of the manifest's folder: any file of yours, if they say so",
    )


def add_order(parser: argparse.ArgumentParser) -> None:
    """Add what changes results."""
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
    connection.add_version(parser, "pin the workflow version by number")
    parser.add_argument("--version-id", metavar="UUID", help="pin it by UUID")


def manifest_of(options: ManifestOptions) -> str:
    """The one manifest.

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
    """What was given of :class:`opus_async.batch.options.BatchSpec`, and nothing else."""
    given = {
        "columns": _pairs(options.map, "--map", "COLUMN=INPUT"),
        "constants": _pairs(options.set, "--set", "INPUT=VALUE"),
        "title": options.title,
        "description": options.description,
        "key": options.key,
        "version_number": options.version_number,
        "version_id": options.version_id,
    }
    return {name: value for name, value in given.items() if value not in (None, {})}


def reading_of(options: ManifestOptions) -> dict[str, Any]:
    """What was given of how the manifest is read."""
    return {name: value for name in READING if (value := getattr(options, name)) is not None}


def words(options: ManifestOptions) -> list[str]:
    """The options of this module as they were typed, to be typed again."""
    said: list[str] = []
    for name in ("workflow", *READING, *_ORDER):
        if (value := getattr(options, name)) is not None:
            said += [f"--{name.replace('_', '-')}", str(value)]
    if options.allow_outside:
        said.append("--allow-outside")
    for flag, values in (("--map", options.map), ("--set", options.set)):
        for value in values:
            said += [flag, value]
    return said


def folder_name(manifest: str) -> str:
    """A name for a batch directory that tells what is in it: ``invoices-batch``."""
    path = Path(manifest)
    while any(letter in path.name for letter in "*?["):
        path = path.parent
    return f"{path.stem or 'my'}-batch"


def _pairs(texts: Sequence[str], option: str, form: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise WrongUse(f"{option} wants {form}, got {text!r}")
        if name in pairs:
            raise WrongUse(f"{option} names {name!r} twice; a list is one value: {option} '{name}=a; b'")
        pairs[name] = value
    return pairs
