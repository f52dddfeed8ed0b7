"""Snapshots of what jobs show, compared with a job that was never started: evidence of a start.

Everything that the answers hold is compared (counts, lists, nodes, unknown fields, whether a time is there),
except what names the job, tells the hour, or was given when the job was made. What is missing and what is
null are not the same: a difference only ever forbids a second order, so that in doubt there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import field
from typing import Any
from urllib.parse import quote

from opus_async.cheap_dataclass import cheap_dataclass
from opus_async.models import AuditLog, JobStatus
from opus_async.opus.protocol.envelopes import JOB_NAMES

GIVEN_FIELDS = frozenset({"title", "description", "initialinput", "jobtitle", "casetitle", "jobname", "name"})
"""Fields of a job that say what it was made with, without underscores and in lower case; looked for where an
answer describes the job itself, not deeper."""
_WRAPPERS = frozenset({"data", "job", "case"})
_STATUS_FIELDS = frozenset({"status", "state"})
_STATUS_PLACES = (["status"], ["status", "data"])
_TIME_WORDS = frozenset(
    {"at", "time", "timestamp", "date", "since", "until", "expires", "expiry", "created", "updated"}
    | {"started", "finished", "ended", "elapsed", "duration", "age", "seconds", "ms", "millis"}
)
_ID_WORDS = frozenset({"id", "ids", "uuid", "guid", "token", "nonce", "etag"})
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")

_EPOCH_FROM = 1e9
"""A number from here on is a moment, in seconds (2001) or finer."""
_SHORT_NUMBER = 1000
"""A number below this counts something, even under the name of an id."""
_SHORT_TEXT = 6
"""A text shorter than this is replaced only where it stands alone: it could be part of a word."""
_VARYING: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "<id>"),
    (
        re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s?(?:Z|[+-]\d\d:?\d\d))?)?"),
        "<time>",
    ),
    (re.compile(r"\b\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?\b"), "<time>"),
    (re.compile(r"\b[0-9a-fA-F]{16,}\b"), "<id>"),
    (re.compile(r"\d{6,}"), "<number>"),
)
"""What differs between two jobs that are alike, wherever a text holds it."""

MOST_LOOKS = 8
"""Looks at a job never executed, all of them different, that are kept."""
Leaves = Mapping[str, Any]
"""Path -> value, of everything in an answer."""


@cheap_dataclass()
class Snapshot:
    """What one job shows: its status and its audit.

    Attributes:
        status: Where it stands.
        worked: Whether a node has run, runs or failed, as the audit tells.
        names: The job's id, in the ways it is written.
        given: Texts that the job was made with, which an answer may quote: title, description.
        answers: The whole answers that told the status and the audit; None for an audit that is not there.
    """

    status: JobStatus
    worked: bool
    names: tuple[str, ...]
    given: tuple[str, ...]
    answers: tuple[Any, AuditLog | None] = field(repr=False)

    @classmethod
    def of(
        cls,
        job_id: str,
        status: JobStatus,
        status_body: Any,
        audit: AuditLog | None,
        *,
        given: Sequence[str] = (),
    ) -> Snapshot:
        """Make a snapshot of the two responses.

        Args:
            job_id: The job asked about.
            status: As read.
            status_body: The whole answer that it was read from.
            audit: None where there is none (404).
            given: Texts that the job was made with.
        """
        worked = audit is not None and bool(audit.executed_nodes or audit.failed_nodes or audit.running_node)
        names = tuple(dict.fromkeys((job_id, quote(job_id, safe=""))))
        texts = tuple(dict.fromkeys(text for text in given if text))
        return cls(status, worked, names, texts, (status_body, audit))

    def differences(self, other: Snapshot) -> list[str]:
        """List the paths at which two jobs differ, their ids and given texts aside."""
        comparable = _Comparable((*self.names, *other.names), (*self.given, *other.given))
        missing = object()
        mine, others = comparable.leaves(self), comparable.leaves(other)
        paths = dict.fromkeys((*mine, *others))
        return [path for path in paths if mine.get(path, missing) != others.get(path, missing)]


class Baseline:
    """What a job that was never executed shows, learned from several looks at one.

    Whatever one of them showed is what such a job may show. Of a value that varied as a nonce, a clock or the
    load of a server does, any other of its kind is, too; the status is never taken for one.
    """

    def __init__(self, first: Snapshot) -> None:
        self.statuses = {first.status}
        self.worked = first.worked
        """Whether even such a job shows nodes that have run."""
        self._looks = [first]

    def learn(self, look: Snapshot) -> None:
        """Learn from another look at the same job."""
        self.statuses.add(look.status)
        self.worked = self.worked or look.worked
        if all(look.differences(known) for known in self._looks):
            self._looks = [*self._looks[-MOST_LOOKS + 1 :], look]

    def differences(self, look: Snapshot) -> list[str]:
        """List the paths at which a job shows what none of the looks at this one did."""
        comparable = _Comparable((*look.names, *self._looks[0].names), (*look.given, *self._looks[0].given))
        known = [comparable.leaves(each) for each in self._looks]
        shown = comparable.leaves(look)
        paths = dict.fromkeys([*shown, *(path for leaves in known for path in leaves)])
        return [path for path in paths if not _may_show(path, shown, known)]


_MISSING = object()


def _may_show(path: str, shown: Leaves, known: Sequence[Leaves]) -> bool:
    value, seen = shown.get(path, _MISSING), [leaves.get(path, _MISSING) for leaves in known]
    if value in seen:
        return True
    varied = len(set(map(repr, seen))) > 1
    return varied and not _is_status(path) and all(map(_varies_by_itself, (value, *seen)))


def _varies_by_itself(value: Any) -> bool:
    """Whether a value can be a nonce or a measurement, which differ from look to look by themselves."""
    if isinstance(value, str):
        return len(value) >= _SHORT_TEXT and any(char.isdigit() for char in value) and value[0] != "<"
    return isinstance(value, int | float) and value > 0


def _is_status(path: str) -> bool:
    """Whether a path is where the status of the job stands."""
    *places, name = path.split("/")
    return path == "status" or (name in _STATUS_FIELDS and places in _STATUS_PLACES)


class _Comparable:
    """Turns snapshots of two jobs into paths and values that can be compared.

    Args:
        names: The ids of both jobs, in the ways they are written: replaced in the answers of both, since an
            id can be a number or a word that stands there for something else.
        given: Texts that they were made with.
    """

    def __init__(self, names: Sequence[str], given: Sequence[str]) -> None:
        self._whole = {**dict.fromkeys(names, "<job>"), **dict.fromkeys(given, "<given>")}
        self._parts = [
            (re.compile(_in_a_text(text)), mark)
            for text, mark in sorted(self._whole.items(), key=lambda item: -len(item[0]))
        ]

    def leaves(self, seen: Snapshot) -> Leaves:
        """Flatten a snapshot: path -> value of everything in it."""
        status, audit = seen.answers
        leaves = dict(self._walk("status", "", status, about_job=True))
        leaves["audited"] = audit is not None
        if audit is not None:
            leaves.update(self._walk("audit", "", audit.raw, about_job=True))
        return leaves

    def _walk(self, path: str, name: str, value: Any, *, about_job: bool) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                plain = key.replace("_", "").lower()
                if about_job and plain in GIVEN_FIELDS:
                    continue
                shown = self._text(key).replace("/", "|")
                yield from self._walk(
                    f"{path}/{shown}", key, inner, about_job=about_job and plain in _WRAPPERS
                )
        elif isinstance(value, list) and value:
            for number, inner in enumerate(value):
                yield from self._walk(f"{path}/{number}", name, inner, about_job=False)
        else:
            yield path, self._leaf(name, value)

    def _leaf(self, name: str, value: Any) -> Any:
        if value is None or isinstance(value, bool | dict | list):
            return f"<{value!r}>"  # in marks, so that null, false, {}, [] and their texts stay apart
        if name in JOB_NAMES:
            return "<job>"
        words = {word.lower() for word in _WORDS.findall(name)}
        return self._short(words, value) if isinstance(value, str) else self._number(words, value)

    def _short(self, words: AbstractSet[str], value: str) -> str:
        has_digits = any(char.isdigit() for char in value)
        if has_digits and words & _TIME_WORDS:
            return "<time>"
        text = self._text(value)
        unique = has_digits and len(text) >= _SHORT_TEXT and not text.startswith("<")
        return "<id>" if unique and words & _ID_WORDS else text

    def _number(self, words: AbstractSet[str], value: float) -> Any:
        if str(value) in self._whole:
            return self._whole[str(value)]
        if value and (words & _TIME_WORDS or abs(value) >= _EPOCH_FROM):
            return "<time>"
        return "<id>" if words & _ID_WORDS and abs(value) >= _SHORT_NUMBER else value

    def _text(self, value: str) -> str:
        if value in self._whole:
            return self._whole[value]
        for pattern, mark in (*self._parts, *_VARYING):
            value = pattern.sub(mark, value)
        return value


def _in_a_text(text: str) -> str:
    """Make a pattern that finds a text inside another one."""
    pattern = re.escape(text)
    return pattern if len(text) >= _SHORT_TEXT else rf"(?<!\w){pattern}(?!\w)"
