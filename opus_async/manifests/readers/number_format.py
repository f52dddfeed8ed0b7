"""Shows a number, a date or a time as a number format of Excel does: ``000000``, ``0.00%``, ``d mmm yyyy``.

Only what is the same on every machine is shown. A format that follows the locale of whoever looks (the short
date of the system, names of months without a language) or that is not known gives None: then nobody can tell
from the file what a person saw. The language of format codes is told in ECMA-376, part 1, 18.8.31.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from functools import lru_cache

from opus_async.manifests.readers.format_code import Condition, Section, UnknownFormatError, sections_of

_DIGITS_OF_EXCEL = 15
_PERCENT = 2
_THOUSAND = 3
_ENGLISH = 0x09
"""The language of a locale id is in its lowest ten bits."""
_LANGUAGE = 0x3FF
_SYSTEM = frozenset({0xF800, 0xF400})
"""Locale ids that stand for the long date and the time of the system."""
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - Excel has no zones
_ROUNDING = Context(prec=_DIGITS_OF_EXCEL, rounding=ROUND_HALF_UP)
_MOST_EXPONENT = 40
_TEXT = 3
"""The section for text, from 0."""
_REMEMBERED = 1 << 15
"""Values whose text is kept, some 10 MB at most: dates, prices and percentages come again and again."""


@lru_cache(maxsize=_REMEMBERED)
def shown_number(value: float, code: str, thousands: str = ",") -> str | None:
    """The text that a format shows for a number, without spaces around; None where that cannot be told.

    Args:
        value: The number.
        code: The format.
        thousands: What separates them, where the format wants that; on each computer its settings tell.
    """
    try:
        number = _ROUNDING.create_decimal(repr(value))
        if number and abs(number.adjusted()) > _MOST_EXPONENT:
            return None
        section, negative = _chosen(sections_of(code), number)
        return f"{'-' if negative else ''}{_number(section, abs(number), thousands, signed=negative)}".strip()
    except UnknownFormatError:
        return None


def shown_text(text: str, code: str) -> str | None:
    """The same for a text, which is not remembered; None also where nothing of it is shown."""
    if not may_change_text(code):
        return text.strip()
    try:
        sections = sections_of(code)
    except UnknownFormatError:
        return None
    section = sections[_TEXT if len(sections) > _TEXT else -1]
    if len(sections) <= _TEXT and not _takes_text(section):
        return text.strip()
    if any(kind not in {"text", "literal"} for kind, _ in section.parts):
        return None
    return "".join(text if kind == "text" else part for kind, part in section.parts).strip() or None


@lru_cache(maxsize=_REMEMBERED)
def shown_moment(value: date | time | timedelta, code: str) -> str | None:
    """The text that a format shows for a date, a time of the day or a duration; None as above."""
    try:
        (section,) = (one for one in sections_of(code)[:1])
        if section.condition is not None:
            return None
        return _moment(section, value).strip()
    except UnknownFormatError:
        return None


def may_change_text(code: str) -> bool:
    """Whether a format may show a text otherwise than it is: it says something of texts."""
    return "@" in code or code.count(";") >= _TEXT


def general(value: float) -> str:
    """A number in the format ``General`` of a column that is wide enough: with the 15 digits of Excel."""
    text = format(value or 0, f".{_DIGITS_OF_EXCEL}g")  # -0.0 is 0
    return text.replace("e", "E") if "e" in text else text


def _chosen(sections: Sequence[Section], number: Decimal) -> tuple[Section, bool]:
    """The section for a number, and whether a minus sign is put before it."""
    numeric = _for_numbers(sections)
    if not any(one.condition for one in numeric):
        if len(numeric) == 1:
            return numeric[0], number < 0
        if number < 0:
            return numeric[1], False
        return numeric[2 if number == 0 and len(numeric) > 2 else 0], False  # noqa: PLR2004 - the third
    if len(numeric) == 1:
        numeric = (*numeric, *sections_of("General"))
    conditions = [one.condition for one in numeric]
    conditions[0] = conditions[0] or (">", Decimal(0))
    for one, condition in zip(numeric, conditions, strict=True):
        if condition is None or _holds(condition, number):
            return one, number < 0 and _has_sign(condition, conditions)
    raise UnknownFormatError


def _for_numbers(sections: Sequence[Section]) -> Sequence[Section]:
    """The sections but the one for text: the fourth, or one with a place for it behind another."""
    numeric = sections[:3]
    if len(numeric) > 1 and len(sections) == len(numeric) and _takes_text(numeric[-1]):
        return numeric[:-1]
    return numeric


def _takes_text(section: Section) -> bool:
    return any(kind == "text" for kind, _ in section.parts)


def _has_sign(condition: Condition | None, conditions: Sequence[Condition | None]) -> bool:
    """Whether Excel puts a minus sign before a negative number in a section of a format with conditions.

    Not where the condition holds for negative numbers alone, nor in the second of two sections, where that is
    all that is left for them. Programs do not agree what the second is for numbers below ``[>=0]``.
    """
    if condition is not None:
        sign, bound = condition
        return not ((bound < 0 and sign in {"<", "<=", "="}) or (bound == 0 and sign == "<"))
    if len(conditions) > 2 or conditions[0] is None:  # noqa: PLR2004 - the third
        return True
    sign, bound = conditions[0]
    if bound == 0 and sign in {">", ">="}:
        raise UnknownFormatError
    return sign == "=" or (bound > 0 and sign in {">", ">="})


def _holds(condition: Condition, number: Decimal) -> bool:
    sign, bound = condition
    return {
        "<": number < bound,
        "<=": number <= bound,
        ">": number > bound,
        ">=": number >= bound,
        "=": number == bound,
        "<>": number != bound,
    }[sign]


def _number(section: Section, number: Decimal, thousands: str, *, signed: bool) -> str:
    """A number without its sign in one section."""
    kinds = {kind for kind, _ in section.parts}
    if kinds & {"date", "elapsed", "half", "exponent"}:
        raise UnknownFormatError
    if kinds & {"general", "text"}:
        return "".join(
            general(float(number)) if kind in {"general", "text"} else text for kind, text in section.parts
        )
    if "digit" not in kinds:  # a word in place of the number
        if words := "".join(text for kind, text in section.parts if kind == "literal").strip():
            return words
        raise UnknownFormatError  # the number is hidden
    places = [place for place, (kind, _) in enumerate(section.parts) if kind == "digit"]
    point = next((place for place, part in enumerate(section.parts) if part == ("sign", ".")), None)
    if any(text == "/" for kind, text in section.parts[places[0] : places[-1]] if kind == "literal"):
        raise UnknownFormatError  # a fraction
    before = [place for place in places if point is None or place < point]
    behind = [place for place in places if place not in before]
    number *= 10 ** (_PERCENT * sum(part == ("sign", "%") for part in section.parts))
    last = max(before, default=-1)
    scale = _commas_behind(section, last) + (_commas_behind(section, behind[-1]) if behind else 0)
    grouping = section.parts[before[0] : last].count(("sign", ",")) if before else 0
    if section.parts.count(("sign", ".")) > 1 or section.parts.count(("sign", ",")) > grouping + scale:
        raise UnknownFormatError  # a sign where it means nothing that is told anywhere
    try:
        number = number.scaleb(-_THOUSAND * scale).quantize(Decimal(1).scaleb(-len(behind)), ROUND_HALF_UP)
    except InvalidOperation:
        raise UnknownFormatError from None  # more digits than a decimal has
    if signed and not number:
        raise UnknownFormatError  # rounded to zero: programs do not agree whether the sign stays
    whole, _, fraction = format(number, "f").partition(".")
    separator = thousands if grouping else ""
    texts = dict(zip(before, _whole_digits(section, before, whole.lstrip("0"), separator), strict=True))
    texts |= zip(behind, _fraction_digits(section, behind, fraction), strict=True)
    if point is not None:
        texts[point] = "." if before else f"{whole.lstrip('0')}."
    return "".join(
        texts.get(place, "" if (kind, text) == ("sign", ",") else text)
        for place, (kind, text) in enumerate(section.parts)
    )


def _commas_behind(section: Section, place: int) -> int:
    """How many commas stand directly behind a digit: each divides the number by a thousand."""
    count = 0
    while section.parts[place + 1 + count : place + 2 + count] == (("sign", ","),):
        count += 1
    return count


def _whole_digits(section: Section, places: Sequence[int], digits: str, separator: str) -> list[str]:
    """What each place for a digit before the point shows; the first one takes all that are left."""
    shown: list[str] = []
    left, count = digits, 0
    for turn, place in enumerate(reversed(places), 1):
        wanted = section.parts[place][1]
        taken = left if turn == len(places) else left[-1:]
        left = left[: len(left) - len(taken)]
        taken = taken or {"0": "0", "?": " "}.get(wanted, "")
        text = ""
        for digit in reversed(taken):
            if count and count % _THOUSAND == 0 and digit.isdigit():
                text = separator + text
            text, count = digit + text, count + 1
        shown.append(text)
    return shown[::-1]


def _fraction_digits(section: Section, places: Sequence[int], digits: str) -> list[str]:
    """What each place for a digit behind the point shows: zeros at the end only where they are asked for."""
    shown: list[str] = []
    needed = False
    for place, digit in zip(reversed(places), reversed(digits), strict=True):
        wanted = section.parts[place][1]
        needed = needed or digit != "0" or wanted == "0"
        shown.append(digit if needed else " " if wanted == "?" else "")
    return shown[::-1]


def _moment(section: Section, value: date | time | timedelta) -> str:
    """A date, a time or a duration in one section."""
    if section.locale in _SYSTEM or any(kind in {"general", "text"} for kind, _ in section.parts):
        raise UnknownFormatError
    moment = _as_datetime(value)
    half = any(kind == "half" for kind, _ in section.parts)
    fraction = _fraction_places(section.parts)
    unit = 10 ** (6 - fraction)
    micros = (moment.microsecond + unit // 2) // unit * unit
    moment = moment.replace(microsecond=0) + timedelta(microseconds=micros)
    texts: list[str] = []
    in_fraction = False
    for place, (kind, text) in enumerate(section.parts):
        if kind == "elapsed":
            texts.append(_elapsed(text, moment))
        elif kind == "half":
            am, pm = ("AM", "PM") if text == "am/pm" else ("A", "P")
            texts.append(pm if moment.hour >= 12 else am)  # noqa: PLR2004 - noon
        elif kind == "date":
            minutes = text[0] == "m" and _are_minutes(section.parts, place)
            texts.append(_unit(text, moment, minutes=minutes, half=half, locale=section.locale))
        elif (kind, text) == ("sign", "."):
            in_fraction = True
            texts.append(f".{moment.microsecond:06}"[: fraction + 1] if fraction else ".")
        elif kind == "digit" and not in_fraction:
            raise UnknownFormatError
        elif kind != "digit":
            texts.append(text)
    return "".join(texts)


def _as_datetime(value: date | time | timedelta) -> datetime:
    if isinstance(value, timedelta):
        return _EPOCH + value
    if isinstance(value, time):
        return datetime.combine(_EPOCH.date(), value)
    return value if isinstance(value, datetime) else datetime.combine(value, time())


def _fraction_places(parts: Sequence[tuple[str, str]]) -> int:
    """How many digits of a second are shown."""
    if ("sign", ".") not in parts:
        return 0
    begins = list(parts).index(("sign", ".")) + 1
    count = 0
    while parts[begins + count : begins + count + 1] == (("digit", "0"),):
        count += 1
    return min(count, 6)


def _are_minutes(parts: Sequence[tuple[str, str]], place: int) -> bool:
    """Whether an ``m`` means minutes: behind hours, or before seconds."""
    units = [(at, text[0]) for at, (kind, text) in enumerate(parts) if kind in {"date", "elapsed"}]
    turn = units.index((place, "m"))
    before = units[turn - 1][1] if turn else ""
    after = units[turn + 1][1] if turn + 1 < len(units) else ""
    return len(parts[place][1]) <= 2 and (before == "h" or after == "s")  # noqa: PLR2004 - m and mm


def _elapsed(text: str, moment: datetime) -> str:
    seconds = int((moment - _EPOCH).total_seconds())
    if seconds < 0:
        raise UnknownFormatError
    count = seconds // {"h": 3600, "m": 60, "s": 1}[text[0]]
    return f"{count:0{len(text)}}"


def _unit(text: str, moment: datetime, *, minutes: bool, half: bool, locale: int | None) -> str:
    """One unit of a date or time: ``yyyy``, ``mmm``, ``d``, ``hh``."""
    letter, width = text[0], min(len(text), 4)
    if letter == "y":
        return f"{moment.year:04}" if width > 2 else f"{moment.year % 100:02}"  # noqa: PLR2004 - yy
    if letter in "hs" or minutes:
        hour = (moment.hour % 12 or 12) if half else moment.hour
        count = {"h": hour, "m": moment.minute, "s": moment.second}[letter]
        return f"{count:0{min(width, 2)}}"
    count = moment.month if letter == "m" else moment.day
    if width <= 2:  # noqa: PLR2004 - m and mm
        return f"{count:0{width}}"
    if locale is None or locale & _LANGUAGE != _ENGLISH:  # the name in the language of whoever looks
        raise UnknownFormatError
    name = _MONTHS[count - 1] if letter == "m" else _DAYS[moment.weekday()]
    if len(text) > 4:  # noqa: PLR2004 - mmmmm, the first letter
        return name[0]
    return name if width > _THOUSAND else name[:3]
