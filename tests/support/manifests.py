"""Workflows, bindings and manifests for the tests of what happens before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from opus_async.errors import ManifestError
from opus_async.manifests import Manifest, open_manifest
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.binding.row_keys import RowKey, row_key
from opus_async.manifests.file_digests import FileDigests
from opus_async.models import InputField, Workflow


def given(name: str, kind: str = "str", variable: str = "", **more: Any) -> InputField:
    """An input that may be left out unless it says otherwise."""
    made = "workflow_input_" + name.lower().replace(" ", "_")
    return InputField(
        variable_name=variable or made, display_name=name, type=kind, **{"nullable": True, **more}
    )


def workflow(*fields: InputField) -> Workflow:
    return Workflow(workflow_id="w", inputs={field.variable_name: field for field in fields})


INVOICES = workflow(
    given("Document", "file"),
    given("Pages", "array_files"),
    given("Scans", "array", item_type="file"),
    given("Number"),
    given("Amount", "float"),
    given("Labels", "array"),
    given("Lines", "array", item_type="int"),
    given("Checks", "array", item_type="bool"),
    given("Client", "object"),
    given("Due date", "date"),
)


def requested(
    binding: Binding, cells: dict[str, Any], base: Path = Path("/in"), **row: Any
) -> dict[str, Any]:
    """The inputs of a row by their display names."""
    request = binding.request(cells, base=base, **{"index": 0, "key": "k", **row})
    return {binding.workflow.inputs[name].display_name: value for name, value in request.inputs.items()}


async def keyed(binding: Binding, cells: dict[str, Any], base: Path) -> RowKey:
    """A row's key, its files read."""
    digests = FileDigests()
    expanded = binding.expand_globs(cells, base)
    files = {path: await digests.of(path) for path in binding.files.of_row(expanded, base)}
    return row_key(binding, expanded, base, files)


def csv(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def jsonl(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def manifest_in(path: Path, content: bytes | str, **options: Any) -> Manifest:
    """The manifest in a file of this content, opened."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_manifest(path, **options)


def rows(manifest: Manifest) -> list[dict[str, Any]]:
    return [dict(record.cells) for record in manifest.records()]


def problems(manifest: Manifest) -> list[str]:
    """What is wrong with the rows of a manifest, or with all of it."""
    found: list[str] = []
    try:
        for record in manifest.records():
            found += [f"{record.where}: {part.problem}" for part in record.unreadable]
    except ManifestError as error:
        found += list(error.problems) or [str(error)]
    assert found, "nothing is wrong with it"
    return found
