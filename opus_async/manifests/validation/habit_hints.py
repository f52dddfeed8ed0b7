"""Proposes how numbers, dates and truth values are written, where a whole column fits one way alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.binding.cells import iso_day
from opus_async.manifests.binding.habits import DECIMALS, ORDERS, plain_date, plain_number
from opus_async.manifests.problem import Problem, Severity
from opus_async.text import quoted

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_AS_JSON = frozenset({"."})
_KINDS = {"int": "--decimal", "float": "--decimal", "date": "--dates", "bool": "--true"}
_ALWAYS_READ = frozenset({"true", "false", "yes", "no", "1", "0"})
_PAIRS = (
    *(
        ("ja", "nein"),
        ("oui", "non"),
        ("si", "no"),
        ("sí", "no"),
        ("sì", "no"),
        ("sim", "não"),
        ("sim", "nao"),
    ),
    *(("да", "нет"), ("tak", "nie"), ("ano", "ne"), ("evet", "hay\u0131r"), ("kyllä", "ei"), ("igen", "nem")),
    *(
        ("wahr", "falsch"),
        ("vrai", "faux"),
        ("verdadero", "falso"),
        ("verdadeiro", "falso"),
        ("vero", "falso"),
    ),
    *(
        ("是", "否"),
        ("はい", "いいえ"),
        ("예", "아니요"),
        ("نعم", "لا"),
        ("כן", "לא"),
        ("ja", "nej"),
        ("ja", "nee"),
    ),
    *(("on", "off"), ("y", "n"), ("t", "f"), ("j", "n"), ("o", "n"), ("s", "n"), ("istina", "laž")),
)
"""Words for true and false that mean nothing else."""


@dataclass(slots=True)
class _Column:
    """What the cells of a column have shown so far.

    Attributes:
        fits: Values of the option with which every cell can be read.
        changes: Of these, those with which a cell would mean another value than without.
        foreign: Whether a cell cannot be read without the option.
        words: The words of a column of truth values that are not always read, up to three.
        thousands: The first number whose point may separate thousands, and is read before a fraction.
    """

    fits: set[str]
    changes: set[str] = field(default_factory=set)
    foreign: bool = False
    words: set[str] = field(default_factory=set)
    thousands: str = ""


class HabitHints:
    """Looks at the cells of all rows, and proposes options when all are seen.

    Args:
        binding: Tells which column fills which input, and which options were given.
    """

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        given = binding.habits
        self._asked = {
            "--decimal": given.decimal is None,
            "--dates": given.dates is None,
            "--true": given.true is None and given.false is None,
        }
        self._columns: dict[str, dict[str, _Column]] = {flag: {} for flag in self._asked}
        self._notes: dict[str, Callable[[str], None] | None] = {}
        """Column -> what looks at the text of a cell; None where nothing is asked."""

    def note(self, cells: Mapping[str, Any]) -> None:
        """Look at the cells of a row."""
        if not any(self._asked.values()):
            return
        for name, value in cells.items():
            if name not in self._notes:
                self._notes[name] = self._note_of(name)
            note = self._notes[name]
            if note is not None and isinstance(value, str) and (text := value.strip()):
                note(text)

    def _note_of(self, name: str) -> Callable[[str], None] | None:
        target = self._binding.column(name).input
        flag = _KINDS.get(target.type) if target is not None else None
        if flag is None or not self._asked[flag]:
            return None
        column = self._columns[flag][name] = _Column(fits=set(_FITS[flag]))
        return partial(_NOTE[flag], column)

    def problems(self) -> Iterator[Problem]:
        """A warning for each option that makes whole columns readable, if no other value of it does."""
        for flag, columns in self._columns.items():
            foreign = [name for name, column in columns.items() if column.foreign]
            fix = self._fix(flag, columns) if foreign else None
            if fix is not None:
                names = ", ".join(map(quoted, foreign))
                message = f"every cell of {names} can be read with {fix}"
                yield Problem(
                    message=message,
                    cause=message,
                    severity=Severity.WARNING,
                    fix="add it, if that is how they are written",
                    column=foreign[0],
                )

    def doubts(self) -> Iterator[Problem]:
        """A warning for each column whose every point may separate thousands as well as a fraction."""
        for name, column in self._columns["--decimal"].items():
            if column.thousands and not column.foreign and "," in column.fits:
                message = f"{quoted(column.thousands)} in column {quoted(name)} is read with a decimal point"
                yield Problem(
                    message=message,
                    cause=message,
                    severity=Severity.WARNING,
                    fix="if it separates thousands, write the numbers without it, or say with --decimal what "
                    "stands before a fraction",
                    column=name,
                )

    @staticmethod
    def _fix(flag: str, columns: Mapping[str, _Column]) -> str | None:
        if flag == "--true":
            words = {word for column in columns.values() for word in column.words}
            pairs = [pair for pair in _PAIRS if words <= set(pair)]
            readable = all(column.fits for column in columns.values())
            return f"--true {pairs[0][0]} --false {pairs[0][1]}" if readable and len(pairs) == 1 else None
        left = [column.fits - (set() if column.foreign else column.changes) for column in columns.values()]
        fitting = set.intersection(*left)
        return f"{flag} {fitting.pop()}" if len(fitting) == 1 else None


def _note_number(column: _Column, text: str) -> None:
    plain = _NUMBER.fullmatch(text) is not None
    if plain and (column.fits <= _AS_JSON or _WHOLE.fullmatch(text)):
        return  # the same with each decimal sign that fits
    column.foreign = column.foreign or not plain
    for sign in tuple(column.fits):
        read = plain_number(text, sign)
        if read is None:
            column.fits.discard(sign)
        elif plain and float(read) != float(text):
            column.changes.add(sign)
            column.thousands = column.thousands or text


def _note_date(column: _Column, text: str) -> None:
    if _DAY.fullmatch(iso_day(text)):
        return
    column.foreign = True
    column.fits = {order for order in column.fits if plain_date(text, order) is not None}


def _note_word(column: _Column, text: str) -> None:
    word = text.casefold()
    if word in _ALWAYS_READ and word != "no":
        return
    column.foreign = column.foreign or word not in _ALWAYS_READ
    if len(column.words) <= 2:  # noqa: PLR2004 - a word for true and one for false
        column.words.add(word)


_FITS = {"--decimal": DECIMALS, "--dates": ORDERS, "--true": ("words",)}
_NOTE = {"--decimal": _note_number, "--dates": _note_date, "--true": _note_word}
