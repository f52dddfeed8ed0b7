"""Types of arguments for argparse: numbers with units. Each raises ArgumentTypeError for any other text."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from opus_async.batch.choices import MOST_PRICE
from opus_async.remote_urls import RemoteFile, is_web_url, scheme_of

if TYPE_CHECKING:
    from opus_async.jobs.halt import Halt

_RATE = re.compile(r"(?P<number>\d+(\.\d+)?)(/(?P<unit>s|sec|m|min|h))?", re.ASCII)
_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}
_BANDWIDTH = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>[kmg]?)b?(/s)?", re.ASCII | re.IGNORECASE)
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhd]))+", re.ASCII)
_PART = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|[smhd])", re.ASCII)
_UNIT_NAMES = re.compile(r"(?<=\d)(milliseconds?|msecs?|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
STDOUT = Path("-")
"""What :func:`output_file` gives for stdout."""
_STDOUT_NAMES = frozenset({"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})
_LAST_PORT = 65_535
_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


def rate(text: str) -> float:
    """Read a rate as a number per second: ``20``, ``20/s``, ``600/m``, ``5000/h``."""
    found = _RATE.fullmatch(text.replace(" ", ""))
    value = float(found["number"]) / _SECONDS[found["unit"] or "s"] if found else 0.0
    if not value:
        raise argparse.ArgumentTypeError(f"give a rate like 20/s, 600/m or 5000/h, not {text!r}")
    return value


def bandwidth(text: str) -> float:
    """Read bytes per second: ``5M``, ``500k``, ``1.5MB/s``; k, M and G are thousands, millions, billions."""
    found = _BANDWIDTH.fullmatch(text.replace(" ", ""))
    value = float(found["number"]) * _BYTES[found["unit"].lower()] if found else 0.0
    if not value:
        raise argparse.ArgumentTypeError(f"give bytes a second like 5M or 500k, not {text!r}")
    return value


def count(text: str) -> int:
    """Read a whole number from 1."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"give a whole number from 1, not {text!r}")
    return int(text)


def port(text: str) -> int:
    """Read the number of a port, from 0: that one is any that is free."""
    number = int(text) if text.isascii() and text.isdecimal() else -1
    if not 0 <= number <= _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to {_LAST_PORT}")
    return number


def price(text: str) -> float:
    """Read what one job costs: a number above 0, without a currency."""
    value = _number(text)
    if not 0 < value <= MOST_PRICE:
        raise argparse.ArgumentTypeError(f"give what one job costs as a number like 0.12, not {text!r}")
    return value


def share(text: str) -> float:
    """Read a share from 0 to 1."""
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"give a number from 0 to 1, not {text!r}")
    return value


def duration(text: str) -> float:
    """Read a time of more than 0 s, as seconds: ``90``, ``90s``, ``5m``, ``1h30m``, ``2 days``, ``500ms``."""
    value = _duration(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(
            f"give a time of more than 0 like 90, 90s, 5m or 1h30m, not {text!r}"
        )
    return value


def duration_from_zero(text: str) -> float:
    """Read a time from 0 s, as seconds, in the forms of :func:`duration`."""
    value = _duration(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"give a time like 0, 90, 90s, 5m or 1h30m, not {text!r}")
    return value


def halt(text: str) -> Halt:
    """Read a halt policy: ``now,fail=10``, ``soon,fail=5%``, ``never``."""
    from opus_async.jobs.halt import Halt

    try:
        return Halt.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def folder_on_disk(text: str) -> Path:
    """Read the directory of a batch or of a load test, which has to lie on a disk."""
    if scheme_of(text) is not None:
        raise argparse.ArgumentTypeError(
            "it is written to all the time, and has to lie on a disk: name a folder. The table of a batch's "
            "results is written to a URL by 'batch export --output URL'"
        )
    return Path(text)


def output_place(text: str) -> Path | RemoteFile:
    """Read where a file is written: as :func:`output_file`, or a URL."""
    if scheme_of(text) is None:
        return output_file(text)
    if is_web_url(text):
        raise argparse.ArgumentTypeError(
            "nothing can be written to an http(s) URL: name a path, s3://, gs:// or az://"
        )
    return RemoteFile(text)


def output_file(text: str) -> Path:
    """Read where a file is written: a path, or ``-`` for stdout. ``/dev/stdout`` is stdout, too.

    Files are made whole and renamed: a device, or the link that leads to one, would be replaced by a file.
    """
    if text in _STDOUT_NAMES:
        return STDOUT
    path = Path(text).expanduser()
    if path.is_absolute() and path.parts[1:2] in {("dev",), ("proc",)}:
        raise argparse.ArgumentTypeError(f"{text} is no place for a file: name another one, or - for stdout")
    return path


def _duration(text: str) -> float:
    """Seconds; -1 for a text that is no time."""
    plain = _number(text)
    if 0 <= plain < float("inf"):
        return plain
    short = _UNIT_NAMES.sub(
        _unit, re.sub(r"(?<=\d)\s+(?=[a-z])|(?<=[a-z])\s+(?=\d)", "", text.strip().lower())
    )
    if not _DURATION.fullmatch(short):
        return -1.0
    parts = list(_PART.finditer(short))
    if len({part["unit"] for part in parts}) < len(parts):  # 5m5m is a slip of the finger
        return -1.0
    return sum(float(part["number"]) * _UNITS[part["unit"]] for part in parts)


def _unit(name: re.Match[str]) -> str:
    return "ms" if name[0].startswith(("mil", "ms")) else name[0][0]


def _number(text: str) -> float:
    """The number in a text; -1, which no type here takes, where it is none."""
    try:
        return float(text)
    except ValueError:
        return -1.0
