"""How long things take: a distribution of seconds, written the way the command line writes it.

`0.5` is a constant, `0.2-2` is uniform, `lognormal:1.0,0.5` has the median 1.0 s and the sigma 0.5 (of the
logarithm): the shape that measured run times of document pipelines tend to have. `exponential:1.0` has the
mean 1.0 s: the shape for which the theory of queues has formulas. A time may have a unit: `300ms`, `2m`,
`1m-4m`, `500ms-2s`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from statistics import NormalDist

_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_TIME = rf"{_NUMBER}(ms|s|m|h|d)?"
_CONSTANT = re.compile(_TIME)
_UNIFORM = re.compile(rf"{_TIME}-{_TIME}")
_LOGNORMAL = re.compile(rf"lognormal:{_TIME},{_NUMBER}")
_EXPONENTIAL = re.compile(rf"exponential:{_TIME}")
_UNITS = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NORMAL = NormalDist()
# inv_cdf is not defined at 0 and 1; beyond these quantiles a run time says nothing about a workflow anyway.
_LOWEST_QUANTILE, _HIGHEST_QUANTILE = 1e-6, 1 - 1e-6


@dataclass(frozen=True, slots=True)
class Duration:
    """A distribution of seconds.

    Attributes:
        kind: `constant`, `uniform`, `lognormal` or `exponential`.
        first: The constant; the lower end; the median; the mean. In seconds.
        second: Unused; the upper end in seconds; sigma.
    """

    kind: str
    first: float
    second: float = 0.0

    @classmethod
    def parse(cls, spec: str | float) -> Duration:
        """Read a distribution as the command line writes it.

        Raises:
            ValueError: If `spec` is none of these forms, or its range runs backwards.
        """
        text = str(spec).strip()
        if match := _CONSTANT.fullmatch(text):
            return cls("constant", _seconds(match[1], match[2]))
        if match := _UNIFORM.fullmatch(text):
            low, high = _seconds(match[1], match[2]), _seconds(match[3], match[4])
            if low > high:
                raise ValueError(f"{text!r} runs backwards: write the shorter time first")
            return cls("uniform", low, high)
        if (match := _LOGNORMAL.fullmatch(text)) and float(match[1]) > 0:
            return cls("lognormal", _seconds(match[1], match[2]), float(match[3]))
        if match := _EXPONENTIAL.fullmatch(text):
            return cls("exponential", _seconds(match[1], match[2]))
        raise ValueError(
            f"{text!r} is not a duration: write 0.5, 300ms, 2m, 0.2-2, lognormal:1.0,0.5 or exponential:1.0"
        )

    @property
    def constant(self) -> float:
        """The seconds of a constant.

        Raises:
            ValueError: It is a distribution.
        """
        if self.kind != "constant":
            raise ValueError("give one time, like 90, 90s or 5m")
        return self.first

    def at(self, quantile: float) -> float:
        """Return the duration in seconds below which the share `quantile` of all of them lies."""
        if self.kind == "constant":
            return self.first
        if self.kind == "uniform":
            return self.first + (self.second - self.first) * quantile
        bounded = min(max(quantile, _LOWEST_QUANTILE), _HIGHEST_QUANTILE)
        if self.kind == "exponential":
            return -self.first * math.log1p(-bounded)
        return self.first * math.exp(self.second * _NORMAL.inv_cdf(bounded))


def _seconds(number: str, unit: str | None) -> float:
    return float(number) * _UNITS[unit]
