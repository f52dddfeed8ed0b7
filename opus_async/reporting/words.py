"""Figures as a person reads them. A narrow space of their own keeps number and unit on one line."""

from __future__ import annotations

from datetime import UTC, datetime

NOTHING = "\N{EN DASH}"
"""Where a figure cannot be told."""
_SPACE = "\N{NO-BREAK SPACE}"
_MINUTE = 60
_HOUR = 60
_DAY = 24
_SHORT = 0.1
_KILO = 1000
_TEN = 10
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_LEAST_PERCENT, _ALL = 0.1, 100
_MILLION = 1_000_000


def count(number: float) -> str:
    """A whole number with separators: ``98,412``."""
    return f"{round(number):,}"


def figure(number: float) -> str:
    """A number with as many places as matter: ``1,240``, ``37.5``, ``0.42``."""
    if number == 0 or abs(number) >= _TEN * _TEN:
        return count(number)
    return f"{number:.1f}" if abs(number) >= _TEN else f"{number:.2f}"


def at_least(number: int, *, known: bool) -> str:
    """A number that may be higher, unless all of it is known: ``≥ 12``."""
    if known:
        return count(number)
    return f"≥{_SPACE}{count(number)}" if number else NOTHING


def axis(number: float) -> str:
    """A number beside an axis, with no more places than it has: ``1,000``, ``2.5``."""
    return f"{number:,.6g}" if abs(number) < _MILLION else f"{number:,.0f}"


def share(part: float, whole: float) -> str:
    """A part in percent: ``1.6 %``. Nothing is ``0 %`` and everything ``100 %`` only when it is."""
    if not whole or not part:
        return f"0{_SPACE}%"
    percent = 100 * part / whole
    if percent < _LEAST_PERCENT:
        return f"<{_SPACE}{_LEAST_PERCENT}{_SPACE}%"
    if 0 < _ALL - percent < _LEAST_PERCENT:
        return f">{_SPACE}{_ALL - _LEAST_PERCENT}{_SPACE}%"
    return f"{percent:{'.3g' if percent >= _TEN else '.2g'}}{_SPACE}%"


def duration(seconds: float) -> str:
    """A span of time: ``12 ms``, ``0.42 s``, ``7.3 s``, ``2 min 05 s``, ``3 h 02 min``, ``2 d 4 h``."""
    seconds = max(seconds, 0.0)
    if seconds < _SHORT:
        thousandths = round(seconds * _KILO)
        return f"{thousandths or '<1'}{_SPACE}ms" if seconds else f"0{_SPACE}s"
    if round(seconds) < _MINUTE:
        number = f"{seconds:.0f}" if seconds >= _TEN or seconds == int(seconds) else figure(seconds)
        return f"{number}{_SPACE}s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    if minutes < _HOUR:
        return _two(minutes, "min", rest, "s")
    hours, rest = divmod(round(seconds / _MINUTE), _HOUR)
    if hours < _DAY:
        return _two(hours, "h", rest, "min")
    days, rest = divmod(round(seconds / _MINUTE / _HOUR), _DAY)
    return f"{days}{_SPACE}d{_SPACE}{rest}{_SPACE}h" if rest else f"{days}{_SPACE}d"


def size(number: float) -> str:
    """Bytes in decimal units: ``4.2 GB``."""
    units = list(_UNITS)
    while round(number) >= _KILO and len(units) > 1:
        number /= _KILO
        del units[0]
    shown = count(number) if units[0] == _UNITS[0] or number >= _TEN * _TEN else f"{number:.1f}"
    return f"{shown}{_SPACE}{units[0]}"


def moment(at: float) -> str:
    """Seconds since the epoch as a date and a clock, without a place: ``2026-03-01 21:04:10``."""
    return _utc(at, "%Y-%m-%d %H:%M:%S")


def clock(at: float) -> str:
    """The hour of it: ``21:04:10``."""
    return _utc(at, "%H:%M:%S")


def hour(at: float) -> str:
    """Likewise without seconds: ``21:04``."""
    return _utc(at, "%H:%M")


def day(at: float) -> str:
    """The day of it: ``1 Mar``."""
    return _utc(at, "%d %b").lstrip("0").replace(" ", _SPACE)


def rows(number: int) -> str:
    """``1 row``, ``2 rows``."""
    return f"{count(number)} {'row' if number == 1 else 'rows'}"


def _two(large: int, unit: str, small: int, below: str) -> str:
    return f"{large}{_SPACE}{unit}{_SPACE}{small:02}{_SPACE}{below}" if small else f"{large}{_SPACE}{unit}"


def _utc(at: float, form: str) -> str:
    return datetime.fromtimestamp(at, UTC).strftime(form)
