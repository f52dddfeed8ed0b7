"""The sizes of generated documents: a distribution of bytes, written as the command line writes it.

``200KB`` is a constant, ``10KB-2MB`` is uniform, ``lognormal:200KB`` has that median and a sigma of 0.5 (of
the logarithm), ``lognormal:200KB,1`` another one. k, M and G are thousands, millions, billions.
"""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass

_SIZE = r"(\d+(?:\.\d+)?)([kmg]?)b?"
_CONSTANT = re.compile(_SIZE, re.ASCII | re.IGNORECASE)
_UNIFORM = re.compile(rf"{_SIZE}-{_SIZE}", re.ASCII | re.IGNORECASE)
_LOGNORMAL = re.compile(rf"lognormal:{_SIZE}(?:,(\d+(?:\.\d+)?))?", re.ASCII | re.IGNORECASE)
_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_SIGMA = 0.5


@dataclass(frozen=True, slots=True)
class Sizes:
    """A distribution of sizes.

    Attributes:
        text: As it was written.
        low: The lowest size, in bytes; of a lognormal distribution its median.
        high: The highest size, in bytes; of a lognormal distribution None.
        sigma: Of a lognormal distribution.
    """

    text: str
    low: int
    high: int | None
    sigma: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Sizes:
        """Read a distribution.

        Raises:
            ValueError: It is none.
        """
        plain = text.replace(" ", "")
        if found := _CONSTANT.fullmatch(plain):
            size = _bytes(found[1], found[2])
            return cls(text, size, size)
        if found := _UNIFORM.fullmatch(plain):
            low, high = _bytes(found[1], found[2]), _bytes(found[3], found[4])
            if low > high:
                raise ValueError(f"{text!r} runs backwards: write the smaller size first")
            return cls(text, low, high)
        if (found := _LOGNORMAL.fullmatch(plain)) and _bytes(found[1], found[2]):
            sigma = _SIGMA if found[3] is None else float(found[3])
            return cls(text, _bytes(found[1], found[2]), None, sigma)
        raise ValueError(f"{text!r} is no size: write 200KB, 10KB-2MB or lognormal:200KB")

    def draw(self, source: random.Random) -> int:
        """Draw a size in bytes."""
        if self.high is None:
            return round(self.low * math.exp(self.sigma * source.gauss(0.0, 1.0)))
        return self.low if self.low == self.high else source.randint(self.low, self.high)


def _bytes(number: str, unit: str) -> int:
    return round(float(number) * _BYTES[unit.lower()])
