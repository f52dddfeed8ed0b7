"""Opus: its entry among the platforms, and what the commands that are its own share.

setting_checks      doctor: key, URLs, generation
api_checks          doctor: which generation of the API answers, and one live call
diagnosis           doctor: what it means that a call failed
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast, get_args

from opus_async.cli import connection
from opus_async.cli.target import Ask, PlatformEntry, Variables

if TYPE_CHECKING:
    from opus_async.cli.checks import Check
    from opus_async.cli.options import ConnectionOptions
    from opus_async.opus.client import OpusClient
    from opus_async.platform import Stages

Generation = Literal["v0", "v1", "auto"]
WORKFLOW_ID = "the workflow: 16 characters, a UUID, or the link of its page"
JOB_ID = "the job: its id, which 'run' prints, or the link of its page"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every command that is Opus's own."""
    parser.set_defaults(platform=ENTRY.name)
    ENTRY.add_arguments(parser)


def connect(options: ConnectionOptions, **settings: Any) -> OpusClient:
    """Make a client of Opus; see :func:`opus_async.cli.connection.connect`."""
    return connection.connect(ENTRY, options, **settings)


@connection.id_type
def workflow_id(text: str) -> str:
    """A workflow's id, for argparse; also of the link of its page, or with spaces around."""
    from opus_async.opus.ids import workflow_id_in

    return workflow_id_in(text)


@connection.id_type
def job_id(text: str) -> str:
    """A job's id, for argparse; also of the link of its page, or with spaces around."""
    from opus_async.opus.ids import job_id_in

    return job_id_in(text)


def generation(api: str | None) -> Generation:
    """The generation of the API that ``--api``, else ``OPUS_API`` names, else v0. Load ``.env`` first.

    Raises:
        ConfigurationError: ``OPUS_API`` names none.
    """
    from opus_async.errors import ConfigurationError
    from opus_async.opus.settings import resolve_api

    named = resolve_api(api)
    if named not in get_args(Generation):
        raise ConfigurationError(f"OPUS_API={named!r} is no generation of the API: use v0, v1 or auto")
    return cast("Generation", named)


class OpusEntry(PlatformEntry["OpusClient"]):
    """See :class:`opus_async.cli.target.PlatformEntry`."""

    name = "opus"
    title = "Opus"
    variables = Variables(
        secrets={"OPUS_SERVICE_KEY": "service key"},
        base_url="OPUS_BASE_URL",
        destinations=("OPUS_BASE_URL", "OPUS_CALLBACK_URL"),
        others=("OPUS_API",),
    )
    help = (
        (
            "OPUS_SERVICE_KEY",
            "the service key, made in Opus under My Organization > settings > API Keys",
        ),
        ("OPUS_BASE_URL", "another host than https://operator.opus.com"),
        (
            "OPUS_API",
            "the generation of the API: v0 (the default), v1, or auto for the first that answers",
        ),
        ("OPUS_CALLBACK_URL", "an HTTPS URL that Opus calls when a job ends"),
    )
    generation_hint = "--api or OPUS_API names the generation of the API"
    billed = "billed when it completes"
    workflow_help = WORKFLOW_ID
    unused_options = ()
    answers_pauses = False
    doctor_words = ("doctor",)
    live_steps = ("generation", "live call")

    @property
    def stages(self) -> Stages:
        """The stages of a job of Opus."""
        from opus_async.opus.stages import STAGES

        return STAGES

    @property
    def vendor_domain(self) -> str:
        """The domain of the vendor's hosts."""
        from opus_async.opus.stages import VENDOR_DOMAIN

        return VENDOR_DOMAIN

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add ``--api``."""
        parser.add_argument(
            "--api",
            choices=get_args(Generation),
            help="generation of the API: v0 jobs, v1 cases, auto the first that answers (OPUS_API, else v0)",
        )

    def workflow_id(self, text: str) -> str:
        """16 characters, a UUID, or what the link of a page names."""
        from opus_async.opus.ids import workflow_id_in

        return workflow_id_in(text)

    def default_base_url(self) -> str:
        """The vendor's host."""
        from opus_async.opus.settings import DEFAULT_BASE_URL

        return DEFAULT_BASE_URL

    def base_url(self) -> str:
        """``OPUS_BASE_URL``, or the vendor's host."""
        from opus_async.opus.settings import resolve_base_url

        return resolve_base_url(None)

    def client(self, api: str | None, **settings: Any) -> OpusClient:
        """Make a client with the key of the environment."""
        from opus_async.opus.client import OpusClient

        return OpusClient(api=generation(api), **settings)

    def generation_of_batch(self, generation: str | None) -> str | None:
        """That very generation: ids of one mean nothing to the other."""
        return generation

    def wait_words(self, job_id: str, workflow_id: str | None) -> tuple[str, ...]:  # noqa: ARG002 - as asked
        """``wait JOB``."""
        return ("wait", job_id)

    def look_words(self, job_id: str, workflow_id: str | None) -> tuple[str, ...]:  # noqa: ARG002 - as asked
        """``audit JOB``."""
        return ("audit", job_id)

    def answer_words(self, alias: str | None, status: str | None) -> None:
        """None: the API has no call that answers a paused job."""

    def answering(self, client: Any, workflow_id: str, ask: Ask) -> NoReturn:
        """Not to be called: nothing answers a paused job."""
        raise NotImplementedError

    def setting_checks(self, api: str | None) -> Iterable[Check]:
        """Key, URLs, generation."""
        from opus_async.cli.platforms.opus import setting_checks

        return setting_checks.examine(api)

    async def live_checks(self, api: str | None, base_url: str, workflow_id: str | None) -> Sequence[Check]:
        """Which generation answers, and a live call."""
        from opus_async.cli.platforms.opus import api_checks

        return await api_checks.examine(api, base_url, workflow_id)


ENTRY = OpusEntry()
