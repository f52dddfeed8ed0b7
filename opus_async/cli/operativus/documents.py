"""Reads YAML and TOML as a tree whose parts know where they stand, so that an error can name the line.

Texts are taken as they are written: ``no`` and ``17`` in YAML are texts here, too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from opus_async.cli.errors import WrongUse

MOST_BYTES = 1024 * 1024
MOST_NODES = 100_000
"""Of a document: an alias of YAML can stand for the same part again and again."""
_YAML, _TOML = frozenset({".yaml", ".yml", ".json"}), frozenset({".toml"})
_NULL = "tag:yaml.org,2002:null"
_SCALARS = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "timestamp", "null")
)
_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class Text:
    """A value that is no list and no mapping.

    Attributes:
        value: The text; None for nothing (``null``, or an empty value of YAML).
        where: The place in the document, for errors: ``flows.yaml:12``.
        kind: What it is, if it is no text: ``number``, say.
    """

    value: str | None
    where: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    values: tuple[Node, ...]
    where: str


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping of names to values; ``twice`` are names that came more than once, with their places."""

    values: Mapping[str, Node]
    where: str
    twice: tuple[tuple[str, str], ...] = ()


Node: TypeAlias = Text | Items | Fields


def read(path: Path) -> Node:
    """Read a document; which format it is its suffix tells.

    Raises:
        WrongUse: It cannot be read; the message names the line where that is known.
    """
    kind = path.suffix.lower()
    if kind not in _YAML | _TOML:
        raise WrongUse(
            f"{path} is neither .yaml, .yml or .json, nor .toml: give it the suffix of what it holds"
        )
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise WrongUse(f"{path} has more than {MOST_BYTES:,} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise WrongUse(f"{path} is not in UTF-8: save it as UTF-8") from None
    return _read_toml(text, path) if kind in _TOML else _read_yaml(text, path)


def _read_toml(text: str, path: Path) -> Node:
    try:
        return _of_toml(tomllib.loads(text), str(path), "")
    except tomllib.TOMLDecodeError as error:
        raise WrongUse(f"{path} is no TOML: {error}") from None


def _of_toml(value: Any, document: str, field: str) -> Node:
    where = f"{document}, {field}" if field else document
    if isinstance(value, dict):
        named = {
            name: _of_toml(each, document, f"{field}.{name}".lstrip(".")) for name, each in value.items()
        }
        return Fields(named, where)
    if isinstance(value, list):
        return Items(
            tuple(_of_toml(each, document, f"{field}[{number}]") for number, each in enumerate(value, 1)),
            where,
        )
    if isinstance(value, str):
        return Text(value, where)
    return Text(str(value), where, kind=_kind(value))


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "truth value"
    return "date or time" if isinstance(value, date | time) else "number"


def _read_yaml(text: str, path: Path) -> Node:
    try:
        yaml: Any = import_module("yaml")  # by name: an extra, which type checkers need not have
    except ImportError:
        raise WrongUse(f"{path}: YAML takes pip install 'opus-async[cli]'; TOML needs nothing") from None
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise WrongUse(f"{path}{line} is no YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise WrongUse(f"{path} is no YAML that can be read: {error}") from None
    if len(documents) > 1:
        raise WrongUse(f"{path} holds {len(documents)} documents: put the workflows into one list")
    if not documents:
        return Text(None, str(path))
    return _YamlReader(path).node(documents[0])


class _YamlReader:
    """From PyYAML's nodes to ours."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = 0
        self._open: set[int] = set()

    def node(self, found: Any) -> Node:
        """Read one node, and all below it."""
        where = f"{self._path}:{found.start_mark.line + 1}"
        self._number += 1
        if self._number > MOST_NODES:
            raise WrongUse(f"{self._path} has more than {MOST_NODES:,} values, aliases counted in full")
        if found.id == "scalar":
            return self._scalar(found, where)
        if id(found) in self._open:
            raise WrongUse(f"{where} holds an alias of itself: take it out")
        self._open.add(id(found))
        try:
            if found.id == "sequence":
                return Items(tuple(map(self.node, found.value)), where)
            return self._fields(found.value, where)
        finally:
            self._open.discard(id(found))

    @staticmethod
    def _scalar(found: Any, where: str) -> Text:
        if found.tag not in _SCALARS:
            raise WrongUse(f"{where} has the tag {found.tag}, which is read by nothing here: take it out")
        return Text(None if found.tag == _NULL else found.value, where)

    def _fields(self, pairs: Any, where: str) -> Fields:
        named: dict[str, Node] = {}
        twice: list[tuple[str, str]] = []
        for name, value in pairs:
            at = f"{self._path}:{name.start_mark.line + 1}"
            if name.id != "scalar" or name.tag == _MERGE:
                raise WrongUse(f"{at} needs a plain name before the colon")
            if name.value in named:
                twice.append((name.value, at))
            named[name.value] = self.node(value)
        return Fields(named, where, tuple(twice))


def places(node: Node) -> Iterator[str]:
    """The places of the names that come twice, in the whole tree."""
    if isinstance(node, Fields):
        yield from (f"{where}: {name!r} comes twice: keep one of them" for name, where in node.twice)
        for value in node.values.values():
            yield from places(value)
    elif isinstance(node, Items):
        for value in node.values:
            yield from places(value)
