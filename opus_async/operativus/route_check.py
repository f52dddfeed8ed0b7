"""Whether a paused run waits for a route: then a text does not answer it."""

from __future__ import annotations

import logging

from opus_async.errors import OpusError
from opus_async.operativus.api import Api
from opus_async.operativus.models import Run
from opus_async.operativus.protocol.statuses import Pause, pause_of

log = logging.getLogger("opus_async.operativus")


async def waits_for_route(api: Api, run: Run) -> bool:
    """Whether a paused run has to be told its route, and not a text.

    Newer servers have one word for both; there the run's route options tell, where they can be had.
    """
    pause = pause_of(run.status)
    if pause is not Pause.REVIEW:
        return pause is Pause.ROUTE
    try:
        options = await api.route_options(run.id)
    except OpusError as error:
        log.info("run %s: its route options could not be read: %s", run.id, error)
        return False
    return options.awaiting or bool(options.choices)
