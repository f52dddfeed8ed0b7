"""Sums of money and what a batch has cost, in words. Plain numbers: the currency is that of the price."""

from __future__ import annotations

from decimal import Decimal

from opus_async.metrics.cost import Cost
from opus_async.text import count, counted, plural

_PLACES = 2


def money(amount: float) -> str:
    """A sum with two places, or as many as it has where these are more: ``1,200.00``, ``0.0035``."""
    exact = Decimal(repr(round(amount, 6))).normalize()
    places = max(_PLACES, -int(exact.as_tuple().exponent))
    return f"{exact:,.{places}f}"


def billed(cost: Cost) -> str:
    """What was billed so far: ``11.76``, or ``11.76 to 12.12`` where that is not certain."""
    if not cost.jobs.possible:
        return money(cost.billed)
    return f"{money(cost.billed)} to {money(cost.billed_at_most)}"


def cost_text(cost: Cost) -> str:
    """What was billed, for how many jobs, and what is to come of those in flight, in a sentence."""
    jobs = cost.jobs
    text = f"{money(cost.billed)} for {counted(jobs.certain, 'completed job')}, at {money(cost.price)} each"
    if jobs.possible:
        text += (
            f"; at most {money(cost.billed_at_most)}, if {count(jobs.possible)} more completed unseen "
            "(unknown rows, second orders)"
        )
    if jobs.in_flight:
        rest = "the job" if jobs.in_flight == 1 else f"the {count(jobs.in_flight)} jobs"
        verb = plural(jobs.in_flight, "completes", "complete")
        text += f"; {money(cost.in_flight)} more if {rest} in flight {verb}"
    return f"{text}."
