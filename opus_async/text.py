"""Texts for people: plurals, figures, sizes, durations, dates, and names quoted in a message."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

NOTHING = "\N{EN DASH}"
"""Where a figure cannot be told."""
_MINUTE, _HOUR, _DAY = 60, 3600, 24
_SHORT = 0.1
"""Seconds below which a span of time is told in milliseconds."""
_FEW = 90
"""Seconds, or minutes, up to which a range is told in them."""
_KILO, _TEN = 1000, 10
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_LEAST_PERCENT, _ALL = 0.1, 100
_MILLION = 1_000_000
_QUOTED_CHARS = 80
_URL_QUERY = re.compile(r"(https?://[^\s?#]*)[?#]\S*", re.IGNORECASE)


def utf8(text: str) -> str:
    """Replace lone surrogates, which undecodable file names contain, by question marks."""
    return text if type(text) is str and text.isascii() else text.encode(errors="replace").decode()


# Numbers


def count(number: float) -> str:
    """A whole number with separators: ``98,412``."""
    return f"{round(number):,}"


def plural(number: float, one: str, many: str) -> str:
    """The word that agrees with a number: ``is`` or ``are``, ``row`` or ``rows``."""
    return one if number == 1 else many


def counted(number: float, one: str, many: str | None = None) -> str:
    """A number and its noun: ``1 row``, ``1,200 rows``.

    Args:
        number: How many.
        one: The words for one of them.
        many: The words for any other number; ``one`` with an *s* if left out.
    """
    return f"{count(number)} {plural(number, one, f'{one}s' if many is None else many)}"


def figure(number: float) -> str:
    """A number with two places below 10, one below 100, none from there on: ``0.42``, ``37.5``, ``1,240``."""
    if number == 0 or abs(number) >= _TEN * _TEN:
        return count(number)
    return f"{number:.1f}" if abs(number) >= _TEN else f"{number:.2f}"


def at_least(number: int, *, known: bool) -> str:
    """A number that may be higher, unless all of it is known: ``≥ 12``."""
    if known:
        return count(number)
    return f"≥ {count(number)}" if number else NOTHING


def axis(number: float) -> str:
    """A number beside an axis, with no more places than it has: ``1,000``, ``2.5``."""
    return f"{number:,.6g}" if abs(number) < _MILLION else f"{number:,.0f}"


def share(part: float, whole: float) -> str:
    """A part in percent: ``1.6 %``. Nothing is ``0 %`` and everything ``100 %`` only when it is."""
    if not whole or not part:
        return "0 %"
    percent = 100 * part / whole
    if percent < _LEAST_PERCENT:
        return f"< {_LEAST_PERCENT} %"
    if 0 < _ALL - percent < _LEAST_PERCENT:
        return f"> {_ALL - _LEAST_PERCENT} %"
    return f"{percent:{'.3g' if percent >= _TEN else '.2g'}} %"


# Bytes, in decimal units


def size(number: float) -> str:
    """Bytes with three digits at the least: ``812 B``, ``4.2 GB``, ``300 GB``."""
    number, unit = _in_unit(number)
    return f"{number:.1f} {unit}" if unit != _UNITS[0] and number < _TEN * _TEN else f"{count(number)} {unit}"


def precise_size(number: float) -> str:
    """Bytes with a place behind the point whatever there are: ``812 B``, ``4.2 GB``, ``300.4 GB``."""
    number, unit = _in_unit(number)
    return f"{count(number)} {unit}" if unit == _UNITS[0] else f"{number:,.1f} {unit}"


def size_as_given(number: float) -> str:
    """Bytes as a person gave them, with every place: ``2.5 MB``, ``1500 MB``, ``500 kB``."""
    return f"{number / _MILLION:g} MB" if number >= _MILLION else f"{number / _KILO:g} kB"


def _in_unit(number: float) -> tuple[float, str]:
    """So many bytes in the largest unit of which there is one."""
    units = list(_UNITS)
    while round(number) >= _KILO and len(units) > 1:
        number /= _KILO
        del units[0]
    return number, units[0]


# Spans of time, in seconds


def duration(seconds: float) -> str:
    """A measured time: ``12 ms``, ``0.42 s``, ``7.3 s``, ``2 min 05 s``, ``3 h 02 min``, ``2 d 4 h``."""
    seconds = max(seconds, 0.0)
    if seconds < _SHORT:
        thousandths = round(seconds * _KILO)
        return f"{thousandths or '<1'} ms" if seconds else "0 s"
    if round(seconds) < _MINUTE:
        number = f"{seconds:.0f}" if seconds >= _TEN or seconds == int(seconds) else figure(seconds)
        return f"{number} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    if minutes < _MINUTE:
        return _two(minutes, "min", rest, "s")
    hours, rest = divmod(round(seconds / _MINUTE), _MINUTE)
    if hours < _DAY:
        return _two(hours, "h", rest, "min")
    days, rest = divmod(round(seconds / _HOUR), _DAY)
    return f"{days} d {rest} h" if rest else f"{days} d"


def _two(large: int, unit: str, small: int, below: str) -> str:
    return f"{large} {unit} {small:02} {below}" if small else f"{large} {unit}"


def elapsed(seconds: float) -> str:
    """A time that runs, in whole seconds and of steady width: ``7 s``, ``2 min 00 s``, ``3 h 02 min``."""
    whole = round(seconds)
    minutes, rest = divmod(whole, _MINUTE)
    hours, minutes_rest = divmod(minutes, _MINUTE)
    if hours:
        return f"{hours} h {minutes_rest:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{whole} s"


def in_milliseconds(seconds: float) -> str:
    """A time with the milliseconds that a platform tells, as far as they matter: ``0.112 s``."""
    return f"{seconds:.3f} s" if round(seconds, 3) < _MINUTE else elapsed(seconds)


def coarse(seconds: float) -> str:
    """A time that is not known exactly: ``40 s``, ``1 min 30 s``, ``12 min``, ``3 h 02 min``."""
    if _TEN * _MINUTE <= seconds < _HOUR:
        return f"{round(seconds / _MINUTE)} min"
    return duration(max(round(seconds), 1) if seconds < _MINUTE else round(seconds / _TEN) * _TEN)


def pace(rate: float, what: str) -> str:
    """A rate a second, or a minute or hour where that is less than one: ``6.4 jobs/s``, ``12 jobs/min``."""
    unit, seconds = next((each for each in (("s", 1), ("min", _MINUTE)) if rate * each[1] >= 1), ("h", _HOUR))
    number = rate * seconds
    shown = f"{number:.1f}" if unit == "s" and number < _TEN * _TEN else count(number)
    return f"{shown} {what}/{unit}"


def between(least: float, most: float) -> str:
    """A range of seconds in the unit of its end: ``20-45 s``, ``12-25 min``, ``1.5-3 h``."""
    if most < _FEW:
        return f"{math.floor(least)}-{math.ceil(most)} s"
    if most < _FEW * _MINUTE:
        minutes = math.ceil(most / _MINUTE)
        if least < _MINUTE:
            return f"{math.floor(least)} s to {minutes} min"
        return f"{math.floor(least / _MINUTE)}-{minutes} min"
    low, high = math.floor(least / _HOUR * _TEN) / _TEN, math.ceil(most / _HOUR * _TEN) / _TEN
    return f"{low:g}-{high:g} h"


# Moments, in seconds since the epoch; told in UTC, and beside it in the time of this machine


def moment(at: float) -> str:
    """Date and time: ``2026-03-01 21:04:10``."""
    return _utc(at, "%Y-%m-%d %H:%M:%S")


def clock(at: float) -> str:
    """The time of the day: ``21:04:10``."""
    return _utc(at, "%H:%M:%S")


def hour(at: float) -> str:
    """The time of the day without seconds: ``21:04``."""
    return _utc(at, "%H:%M")


def day(at: float) -> str:
    """The day: ``1 Mar``."""
    return _utc(at, "%d %b").lstrip("0")


def local_moment(at: float) -> str:
    """The time here, with the date where it is not that of UTC: ``22:04:10``; empty where the time is UTC."""
    if not utc_offset(at):
        return ""
    here = _here(at)
    same_day = here.date() == datetime.fromtimestamp(at, UTC).date()
    return here.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M:%S")


def utc_offset(at: float) -> str:
    """How the time here was apart from UTC at a moment: ``UTC+1``, ``UTC-3:30``; empty where it was not."""
    minutes = round((_here(at).utcoffset() or timedelta()).total_seconds() / _MINUTE)
    if not minutes:
        return ""
    hours, rest = divmod(abs(minutes), _MINUTE)
    return f"UTC{'+' if minutes > 0 else '-'}{hours}{f':{rest:02}' if rest else ''}"


def _here(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone()


def _utc(at: float, form: str) -> str:
    return datetime.fromtimestamp(at, UTC).strftime(form)


# Names


def quoted(name: object) -> str:
    """A name in a message: short, printable, a URL without its query."""
    text = _URL_QUERY.sub(r"\1?...", str(name))
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return f"'{text}'" if len(text) <= _QUOTED_CHARS else f"'{text[: _QUOTED_CHARS - 3]}...'"


def row_name(key: str | None, location: str | None) -> str:
    """What people call a row: where it stands in the manifest, and its key: ``line 18, key INV-7``."""
    if location is None or key is None or location == key:
        return location or key or ""
    return f"{location}, key {key}"
