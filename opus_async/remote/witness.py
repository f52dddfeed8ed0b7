"""Whether a store gives a document out: it tells whose fault it is that it gives another one not."""

from __future__ import annotations

import enum
from functools import partial

from opus_async.config import RetryPolicy
from opus_async.input_problems import ProblemCode, Unfit
from opus_async.remote.facts import NO_PIN, facts_of
from opus_async.remote.hold import Hold
from opus_async.remote.patience import Patience, current_patience, patient
from opus_async.remote.reading import read_part
from opus_async.remote.stores import ask
from opus_async.remote_urls import RemoteFile

_ONCE = RetryPolicy(attempts=1)


class Given(enum.Enum):
    """What a store said about a document."""

    YES = "yes"
    GONE = "gone"
    """It is not there any more, which the store could tell."""
    NO = "no"
    """Nothing, or that it may not be read."""


async def given_out(file: RemoteFile) -> Given:
    """Look a document up, and read its first byte, without a second attempt."""
    hold = Hold()
    hold.take()
    try:
        with patient(Patience(current_patience().timeout, _ONCE)):
            facts = await facts_of(file, anew=True)
            if facts.size:
                first_byte = partial(read_part, pin=NO_PIN, start=0, end=1, size=facts.size)
                await ask(file, first_byte, reading=True)
    except Unfit as unfit:
        return Given.GONE if unfit.code is ProblemCode.NO_FILE else Given.NO
    except Exception:  # noqa: BLE001 - each library has its own
        return Given.NO
    finally:
        await hold.release()
    return Given.YES
