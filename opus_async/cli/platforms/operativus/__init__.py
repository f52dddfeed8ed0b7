"""Operativus: its entry among the platforms, and what the commands that are its own share.

setting_checks      doctor: token or password, base URL
api_checks          doctor: one live call
"""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from opus_async.cli import connection
from opus_async.cli.target import Ask, PlatformEntry, Variables

if TYPE_CHECKING:
    from opus_async.cli.checks import Check
    from opus_async.cli.options import ConnectionOptions
    from opus_async.jobs.pausing import Answer
    from opus_async.operativus import Run
    from opus_async.operativus.client import OperativusClient
    from opus_async.platform import Stages

WORKFLOW_ID = "the workflow's id, which 'operativus workflows' lists"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every command that is Operativus's own."""
    parser.set_defaults(platform=ENTRY.name, api=None)


def connect(options: ConnectionOptions, **settings: Any) -> OperativusClient:
    """Make a client of Operativus; see :func:`opus_async.cli.connection.connect`."""
    return connection.connect(ENTRY, options, **settings)


def run_as_json(run: Run) -> dict[str, Any]:
    """A run for programs: times in ISO 8601, the status in the server's own word."""
    return {
        "id": run.id,
        "workflow_id": run.workflow_id,
        "session_id": run.session_id,
        "status": run.status.raw,
        "step_order": run.step_order,
        "duration_ms": run.duration_ms,
        "created_at": run.created_at and run.created_at.isoformat(),
        "updated_at": run.updated_at and run.updated_at.isoformat(),
    }


def asking(client: OperativusClient, ask: Ask) -> Callable[[Run], Awaitable[str | None]]:
    """From a function that gets JSON values to one that gets a run that waits for a person.

    ``ask`` gets the run as ``operativus runs --json`` tells it, and beside that ``texts``: what its steps
    gave so far, as far as the server tells this user; the last one is what is to be approved.
    """

    async def asked(run: Run) -> str | None:
        from opus_async.errors import OpusError

        texts: tuple[str, ...] = ()
        with suppress(OpusError):  # without them it can be answered, too
            texts = await client.runs.texts(run)
        return await ask(run_as_json(run) | {"texts": texts})

    return asked


class OperativusEntry(PlatformEntry["OperativusClient"]):
    """See :class:`opus_async.cli.target.PlatformEntry`."""

    name = "operativus"
    title = "Operativus"
    variables = Variables(
        secrets={"OPERATIVUS_TOKEN": "token", "OPERATIVUS_PASSWORD": "password"},
        base_url="OPERATIVUS_BASE_URL",
        destinations=("OPERATIVUS_BASE_URL",),
        others=("OPERATIVUS_USERNAME",),
    )
    help = (
        ("OPERATIVUS_BASE_URL", "where the Operativus server is (http://localhost:8080)"),
        ("OPERATIVUS_TOKEN", "its token; or, to log in with:"),
        ("OPERATIVUS_USERNAME", "a user name"),
        ("OPERATIVUS_PASSWORD", "and its password"),
    )
    vendor_domain = None
    generation_hint = ""
    billed = ""
    workflow_help = WORKFLOW_ID
    unused_options = ("title", "description", "version_number", "version_id", "download_outputs")
    answers_pauses = True
    doctor_words = ("doctor", "--platform", name)
    live_steps = ("live call",)

    @property
    def stages(self) -> Stages:
        """The stages of a run of Operativus."""
        from opus_async.operativus.stages import STAGES

        return STAGES

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add nothing: its API has one generation."""

    def workflow_id(self, text: str) -> str:
        """The text without the blanks around it."""
        from opus_async.errors import InvalidInputs

        if not (found := text.strip()):
            raise InvalidInputs(["the workflow id is empty"])
        return found

    def default_base_url(self) -> str:
        """This machine."""
        from opus_async.operativus.settings import DEFAULT_BASE_URL

        return DEFAULT_BASE_URL

    def base_url(self) -> str:
        """``OPERATIVUS_BASE_URL``, or this machine."""
        from opus_async.operativus.settings import resolve_base_url

        return resolve_base_url(None)

    def client(self, api: str | None, **settings: Any) -> OperativusClient:
        """Make a client with the token, or the user name and password, of the environment."""
        from opus_async.operativus.client import OperativusClient

        _refuse_generation(api)
        return OperativusClient(**settings)

    def generation_of_batch(self, generation: str | None) -> None:
        """None: there is one generation."""

    def wait_words(self, job_id: str, workflow_id: str | None) -> tuple[str, ...] | None:
        """``operativus wait WORKFLOW SESSION``."""
        return None if workflow_id is None else ("operativus", "wait", workflow_id, job_id)

    def look_words(self, job_id: str, workflow_id: str | None) -> tuple[str, ...] | None:  # noqa: ARG002
        """``operativus runs WORKFLOW``: the list shows the run of each session."""
        return None if workflow_id is None else ("operativus", "runs", workflow_id)

    def answer_words(self, alias: str | None, status: str | None) -> tuple[str, ...] | None:
        """``operativus resume RUN --output TEXT``; None for a pause that waits for a choice of the route."""
        from opus_async.operativus.pauses import takes_text

        if alias is None or (status is not None and not takes_text(status)):
            return None
        return ("operativus", "resume", alias, "--output", "TEXT")

    def answering(self, client: OperativusClient, workflow_id: str, ask: Ask) -> Answer:
        """Ask with the run, and what its steps gave so far; nobody is asked about a route."""
        return client.answering(workflow_id, asking(client, ask))

    def setting_checks(self, api: str | None) -> Iterable[Check]:
        """Token or password, base URL."""
        from opus_async.cli.platforms.operativus import setting_checks

        _refuse_generation(api)
        return setting_checks.examine()

    async def live_checks(self, api: str | None, base_url: str, workflow_id: str | None) -> Sequence[Check]:
        """One call."""
        from opus_async.cli.platforms.operativus import api_checks

        _refuse_generation(api)
        return await api_checks.examine(base_url, workflow_id)


def _refuse_generation(api: str | None) -> None:
    from opus_async.cli.errors import WrongUse

    if api is not None:
        raise WrongUse("--api: Operativus has one generation of its API; leave it out")


ENTRY = OperativusEntry()
