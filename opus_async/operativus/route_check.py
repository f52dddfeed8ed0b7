"""Whether a paused run waits for a route: then a text does not answer it."""

from __future__ import annotations

import logging

from opus_async.errors import APIError, NotFound, OpusError, PermissionDenied
from opus_async.operativus.api import Api
from opus_async.operativus.models import Run
from opus_async.operativus.protocol.statuses import Pause, pause_of

log = logging.getLogger("opus_async.operativus")

_NO_SUCH_CALL = frozenset({400, 405, 501})
"""Statuses of servers that do not have it, besides 404."""


async def waits_for_route(api: Api, run: Run) -> bool:
    """Whether a paused run has to be told its route, and not a text, as far as that can be known.

    Newer servers have one word for both; there the run's route options tell. Where the server has no such
    call, or not for this user, it is a text. Where they could not be read it is not known: a text would make
    a run that waits for its route go on along any, so that this counts as a route.
    """
    pause = pause_of(run.status)
    if pause is not Pause.REVIEW:
        return pause is Pause.ROUTE
    try:
        options = await api.route_options(run.id)
    except OpusError as error:
        absent = isinstance(error, NotFound | PermissionDenied) or (
            isinstance(error, APIError) and error.status in _NO_SUCH_CALL
        )
        log.log(
            logging.INFO if absent else logging.WARNING,
            "run %s: its route options could not be read: %s",
            run.id,
            error,
        )
        return not absent
    return options.awaiting or bool(options.choices)
