"""Tells what is wrong with a text that is not UTF-8: one damaged place, or another encoding.

Which encoding it is cannot be computed, and a wrong one gives words that look like words: a job would be
billed for them. So the likely ones are shown with what each makes of one line, for a person to choose. They
are ranked by the letters that they give: whether these belong to one script, and stand where letters stand.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from opus_async.errors import ManifestError
from opus_async.manifests.readers.bad_bytes import ESCAPED, TOLERANT
from opus_async.manifests.readers.source_file import Source
from opus_async.text import counted

_CANDIDATES = (
    "cp1252",
    "cp1250",
    "cp1251",
    "mac-roman",
    "gb18030",
    "shift_jis",
    "big5",
    "euc-kr",
    "cp1254",
    "cp1253",
    "cp1255",
    "cp1256",
    "koi8-r",
    "cp850",
)
"""In the order in which they are met, which decides between two that give equally good letters."""
_SHOWN = 5
_SAMPLES = 200
"""Lines with bytes in doubt that the ranking rests on."""
_LONGEST = 60
"""Characters of a cell that are shown."""
_PIECE = 1 << 16
"""Bytes of a line that are looked at."""
_BETWEEN_CELLS = re.compile(r"[,;\t|\"\r\n]")
_WITHIN_WORDS = "\u2019\u2018\u00b7\u2013\u2010"
_EAST_ASIAN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC"})
_CONTINUES, _LEADS, _LEADS_OF_3, _LEADS_OF_4 = 0x80, 0xC0, 0xE0, 0xF0
"""The least byte that continues a character in UTF-8, that begins one of two bytes and more, of three and
more, of four."""
_NAME_IT = "say how it is encoded with --encoding (in Python encoding=...)"


@dataclass(slots=True)
class _Found:
    """What a text that should be UTF-8 holds.

    Attributes:
        good: Letters beyond ASCII that are UTF-8.
        bad: Bytes that are not.
        first: Line and column, from 1, and value of the first such byte; None before one was met.
        samples: Lines with such bytes, the first ones: number and bytes.
    """

    good: int = 0
    bad: int = 0
    first: tuple[int, int, int] | None = None
    samples: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def is_damaged(self) -> bool:
        """Whether it is UTF-8 but for some bytes. Text of another encoding is UTF-8 by chance only."""
        return self.good >= self.bad


def is_damaged(source: Source, encoding: str) -> bool:
    """Whether a text that is not what it should be is that but for some bytes.

    Args:
        source: The text.
        encoding: One in which a bad byte changes no other.
    """
    with source.reading() as file:
        if codecs.lookup(encoding).name in {"utf-8", "utf-8-sig"}:
            return _scanned(file).is_damaged
        found = _Found()
        decoder = codecs.getincrementaldecoder(encoding)(TOLERANT)
        while piece := file.read(_PIECE):
            letters = [letter for letter in decoder.decode(piece) if letter > "\x7f"]
            bad = sum(map(is_bad_byte, letters))
            found.bad += bad
            found.good += len(letters) - bad
        return found.is_damaged


def not_utf8(source: Source) -> ManifestError:
    """The error for a text that is not UTF-8, with the place that is damaged or the likely encodings."""
    with source.reading() as file:
        found = _scanned(file)
    name = source.path.name
    if found.first is None:  # changed since
        return ManifestError(f"{name} cannot be read as UTF-8: {_NAME_IT}")
    line, column, byte = found.first
    place = f"{name}, line {line}, column {column}: byte 0x{byte:02X} is not UTF-8"
    if found.is_damaged:
        others = found.bad - 1
        more = f" and {counted(others, 'more like it', 'more like it')}" if others else ""
        return ManifestError(
            f"{place}{more}, and the rest of the file is: mend that place in an editor and save the file as "
            "UTF-8"
        )
    number, readings = _readings(found.samples)
    if not readings:
        return ManifestError(f"{place}, nor text in an encoding that is often met: {_NAME_IT}")
    return _question(f"{place}, and another encoding cannot be told from bytes. If line {number}", readings)


def not_utf8_but_zeros(source: Source, head: bytes) -> ManifestError:
    """The error for a text with zero bytes: UTF-16 without a mark, or no text."""
    name = source.path.name
    reading = _utf16_reading(head)
    if reading is None:
        return ManifestError(
            f"{name} is no text (it has zero bytes): export it as CSV UTF-8, or, if it is UTF-16, {_NAME_IT}"
        )
    return _question(f"{name} is not UTF-8 (it has zero bytes). If its first line", [reading])


def seems_utf16(head: bytes) -> bool:
    """Whether text with zero bytes is UTF-16 without a mark, as far as its beginning shows."""
    return _utf16_reading(head) is not None


def _question(subject: str, readings: Sequence[tuple[str, str]]) -> ManifestError:
    return ManifestError(
        f"{subject} reads right here, add the option (in Python encoding=...); nothing was sent:",
        [f"{text!r} with --encoding {encoding}" for encoding, text in readings],
    )


def _utf16_reading(head: bytes) -> tuple[str, str] | None:
    """The kind of UTF-16 that text with zero bytes and without a mark seems to be, and its first cells."""
    if b"\0" not in head[: head.find(b"\n") + 2 or None]:  # each line end has one
        return None
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) < len(head) // 8 or min(even, odd) > max(even, odd) // 4:
        return None
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    try:
        text = head[: len(head) // 2 * 2].decode(encoding, "strict")
    except UnicodeDecodeError:
        return None
    return encoding, text.partition("\n")[0].strip()[:_LONGEST]


def _scanned(file: BinaryIO) -> _Found:
    """Count what is UTF-8 and what is not; a line that is too long is looked at in pieces."""
    found = _Found()
    number, column = 1, 1
    while piece := file.readline(_PIECE):
        piece += file.read(_unfinished(piece))
        for part in piece.splitlines(keepends=True):
            if not part.isascii():
                _note(found, number, column, part)
            if part.endswith((b"\r", b"\n")):
                number, column = number + 1, 1
            else:
                column += len(part.decode("utf-8", TOLERANT))
    return found


def _unfinished(piece: bytes) -> int:
    """How many bytes are missing of the character, or the line end, at the end of a piece."""
    if piece.endswith(b"\r"):
        return 1
    for back in range(1, min(3, len(piece)) + 1):
        byte = piece[-back]
        if byte < _CONTINUES:
            return 0
        if byte >= _LEADS:
            return max(0, 2 + (byte >= _LEADS_OF_3) + (byte >= _LEADS_OF_4) - back)
    return 0


def _note(found: _Found, number: int, column: int, line: bytes) -> None:
    """Count the letters and the bytes of one line, or of a piece of one."""
    text = line.decode("utf-8", TOLERANT)
    bad = [place for place, letter in enumerate(text) if is_bad_byte(letter)]
    found.good += sum(letter > "\x7f" for letter in text) - len(bad)
    found.bad += len(bad)
    if not bad:
        return
    if found.first is None:
        found.first = (number, column + bad[0], ord(text[bad[0]]) - ESCAPED)
    if len(found.samples) < _SAMPLES:
        found.samples.append((number, line))


def is_bad_byte(letter: str) -> bool:
    """Whether a character stands for a byte that is not UTF-8, as ``surrogateescape`` decodes it."""
    return "\udc80" <= letter <= "\udcff"


def _readings(samples: Sequence[tuple[int, bytes]]) -> tuple[int, list[tuple[str, str]]]:
    """The number of one line, and the likely encodings with what each makes of it, the likeliest first.

    Of encodings that give the same text the first is shown; the line is one that tells most of them apart.
    """
    decoded = {name: texts for name in _CANDIDATES if (texts := _decoded(samples, name)) is not None}
    ranked = sorted(decoded, key=lambda name: -_plausibility(decoded[name]))[:_SHOWN]
    best: tuple[int, list[tuple[str, str]]] = (0, [])
    for place, (number, _) in enumerate(samples):
        shown: dict[str, str] = {}
        for name in ranked:
            shown.setdefault(_cell_in_doubt(decoded[name][place]), name)
        if len(shown) > len(best[1]):
            best = number, [(name, text) for text, name in shown.items()]
    return best


def _decoded(samples: Iterable[tuple[int, bytes]], encoding: str) -> list[str] | None:
    """The lines as an encoding reads them; None where it cannot."""
    try:
        return [line.decode(encoding) for _, line in samples]
    except UnicodeDecodeError:
        return None


def _cell_in_doubt(line: str) -> str:
    """The cell of a line that has its first letter beyond ASCII, as far as delimiters show where it ends."""
    place = next((place for place, letter in enumerate(line) if letter > "\x7f"), 0)
    begins = max((one.end() for one in _BETWEEN_CELLS.finditer(line, 0, place)), default=0)
    after = _BETWEEN_CELLS.search(line, place)
    ends = after.start() if after else len(line)
    begins = max(begins, place - _LONGEST // 2)
    return line[begins : min(ends, begins + _LONGEST)].strip()


def _plausibility(lines: Sequence[str]) -> float:
    """How well the letters beyond ASCII stand among their neighbours, on average."""
    total = count = 0.0
    for line in lines:
        for before, letter, after in zip(" " + line, line, line[1:] + " ", strict=False):
            if letter > "\x7f":
                total += _fitness(before, letter, after)
                count += 1
    return total / count if count else 0.0


def _fitness(before: str, letter: str, after: str) -> float:
    """Whether a letter stands where it could, from 1 for surely to -3 for hardly."""
    kind = unicodedata.category(letter)
    if kind in {"Cc", "Cn", "Co", "Cf"}:
        return -3
    near = [one for one in (before, after) if one.isalpha()]
    if not kind.startswith("L"):  # a sign: hardly between two letters, but for an apostrophe or a hyphen
        return -2 if len(near) > 1 and letter not in _WITHIN_WORDS else 0
    script = _script(letter)
    if any(_script(one) != script for one in near):
        return -0.5 if script == "EAST ASIAN" else -3
    if script == "EAST ASIAN":
        return 1 if _is_common(letter) else -0.5
    in_a_row = script == "LATIN" and any(one > "\x7f" for one in near)  # Cyrillic read as accents
    capital_inside = kind == "Lu" and before.islower()
    return -2 if capital_inside else -0.5 if in_a_row else float(bool(near))


def _script(letter: str) -> str:
    name = unicodedata.name(letter, "").split(" ", 1)[0]
    return "EAST ASIAN" if name in _EAST_ASIAN else name


def _is_common(letter: str) -> bool:
    """Whether an East Asian character is one of those in daily use, in China or in Japan."""
    if not "\u4e00" <= letter <= "\u9fff":
        return True
    for encoding, last in (("gb2312", 0xD7), ("euc_jp", 0xCF)):
        try:
            if letter.encode(encoding)[0] <= last:
                return True
        except UnicodeEncodeError:
            continue
    return False
