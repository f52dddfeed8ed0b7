"""What the arguments of the batch functions may be, so that wrong ones are answered in our words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opus_async.arguments import (
    COUNT,
    FLAG,
    PATH,
    PRICE,
    SECONDS,
    TEXT,
    WHOLE,
    Kind,
    instance,
    number,
    one_of,
    unfit,
)
from opus_async.batch.choices import DECISIONS
from opus_async.batch.observer import BatchObserver
from opus_async.errors import ConfigurationError
from opus_async.jobs.halt import Halt
from opus_async.remote_urls import scheme_of
from opus_async.spelling import no_such


def _all_text(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


CLIENT = Kind(
    "a client, like OpusClient()",
    lambda value: callable(getattr(value, "lifecycle", None)) and callable(getattr(value, "listening", None)),
)
MANIFEST = Kind("the path of a file or a folder, or a pattern, or the URL of one", PATH.fits)
FOLDER = Kind(
    "the path of the batch directory, on a disk",
    lambda value: PATH.fits(value) and not (isinstance(value, str) and scheme_of(value) is not None),
)
KEYS = Kind(
    "a list of keys",
    lambda value: (
        not isinstance(value, str | bytes | Mapping) and hasattr(value, "__iter__") and _all_text(value)
    ),
    lambda value: [value] if isinstance(value, str) else None,
)
COLUMNS = Kind(
    "names of columns and of inputs as text, like {'Column': 'Input'}; an empty input leaves a column out",
    lambda value: not isinstance(value, Mapping) or (_all_text(value) and _all_text(value.values())),
)
CONSTANTS = Kind(
    "names of inputs as text, like {'Input': 'value'}",
    lambda value: not isinstance(value, Mapping) or _all_text(value),
    secret=True,
)
_MAPPINGS = (COLUMNS, CONSTANTS)
OBSERVER = instance(BatchObserver)

SPEC: Mapping[str, Kind] = {
    "workflow_id": TEXT,
    "version_number": WHOLE,
    "version_id": TEXT,
    "columns": COLUMNS,
    "constants": CONSTANTS,
    "title": TEXT,
    "description": TEXT,
    "key": TEXT,
    "decimal": Kind("',' or '.'", TEXT.fits),
    "dates": Kind("'dmy', 'mdy' or 'ymd'", TEXT.fits),
    "true": Kind("a word for true, like 'ja'", TEXT.fits),
    "false": Kind("a word for false, like 'nein'", TEXT.fits),
}
"""What is asked for; what a text may be is told where it is read."""
SOURCE: Mapping[str, Kind] = {
    "sheet": Kind("the name of a sheet", TEXT.fits),
    "delimiter": Kind("one character, or the word 'tab'", TEXT.fits),
    "encoding": Kind("the name of an encoding, like 'cp1252'", TEXT.fits),
    "pad_short_rows": FLAG,
}
SETTINGS: Mapping[str, Kind] = {
    "max_in_flight": COUNT,
    "start_rate": number("a number of rows a second above 0", lambda value: value > 0),
    "halt": Kind(
        "'soon,fail=5%' or the like, 'never', or a Halt", lambda value: isinstance(value, str | Halt)
    ),
    "timeout": SECONDS,
    "download_outputs": FLAG,
    "drain_seconds": number("a number of seconds, 0 or more", lambda value: value >= 0),
    "price": PRICE,
}
POLICY: Mapping[str, Kind] = {
    "skip_invalid": FLAG,
    "accept_second_bill": FLAG,
    "allow_outside": FLAG,
    "allow_queries": FLAG,
}
WATCHING: Mapping[str, Kind] = {"watching": OBSERVER, "progress": FLAG}
RESUME: Mapping[str, Kind] = {
    "client": CLIENT,
    "out": FOLDER,
    "manifest": MANIFEST,
    "force": FLAG,
    "accept_second_bill": FLAG,
    "allow_outside": FLAG,
    "allow_queries": FLAG,
}
RESOLVE: Mapping[str, Kind] = {
    "out": FOLDER,
    "decision": one_of(*DECISIONS),
    "keys": KEYS,
    "accept_second_bill": FLAG,
    "client": CLIENT,
}


def _mapping(kind: Kind) -> Kind:
    return kind._replace(fits=lambda value: isinstance(value, Mapping) and kind.fits(value))


def check_changes(name: str, given: object, kinds: Mapping[str, Kind]) -> None:
    """Refuse fields that shall be others than before and are none, or of the wrong kind.

    Args:
        name: Of the argument that holds them.
        given: What was given for it.
        kinds: The fields that there are.

    Raises:
        ConfigurationError: It is no mapping of such fields.
    """
    if given is None:
        return
    kinds = {**kinds, **{field: _mapping(kind) for field, kind in kinds.items() if kind in _MAPPINGS}}
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{name} is of type {type(given).__name__}: give a mapping of fields")
    for field, value in given.items():
        if field not in kinds:
            raise ConfigurationError(no_such(name, str(field), kinds))
        if value is not None and not kinds[field].fits(value):
            raise ConfigurationError(unfit(field, value, kinds[field], name))
