"""What the command line asks of a platform, and which platform a command talks to."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypeAlias, TypeVar

from opus_async.cli.program import command_line

if TYPE_CHECKING:
    from opus_async.batch.ports import Client
    from opus_async.cli.checks import Check
    from opus_async.jobs.pausing import Answer
    from opus_async.platform import Stages

    class BatchClient(Client, Protocol):
        """The client of a platform of which no more is known than that it runs batches."""

        async def __aenter__(self) -> Self: ...
        async def __aexit__(self, *error: object) -> None: ...


ClientT_co = TypeVar("ClientT_co", covariant=True)
Ask: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[str | None]]


class Variables(NamedTuple):
    """The variables of the environment that belong to a platform.

    Attributes:
        secrets: What gives access: name -> what it is called in messages.
        base_url: Says where the API is.
        destinations: Say where a secret, or what it gives access to, is sent; ``base_url`` is one of them.
        others: Further ones.
    """

    secrets: Mapping[str, str]
    base_url: str
    destinations: Sequence[str]
    others: Sequence[str] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.secrets, *self.destinations, *self.others)


class PlatformEntry(Protocol[ClientT_co]):
    """All that depends on which platform it is, for every command that is not one platform's own.

    An entry is cheap to import: what it works with it imports when it is asked.
    """

    name: str
    """As in ``--platform``, and in the ledger of a batch."""
    title: str
    """As people call it."""
    variables: Variables
    help: Sequence[tuple[str, str]]
    """Variable of the environment -> what it is, for the help."""
    generation_hint: str
    """How another generation of the API is chosen, without a full stop; empty where there is one only."""
    billed: str
    """When a job that goes on costs, to be put behind "it goes on"; empty where that cannot be said."""
    workflow_help: str
    """What names a workflow, for the help."""

    unused_options: Sequence[str]
    """Options of batches that mean nothing to the platform, by the names of their arguments."""

    @property
    def stages(self) -> Stages:
        """The platform's names of the stages of a job."""

    @property
    def vendor_domain(self) -> str | None:
        """The domain of the vendor's own hosts, where jobs are real; None where there is none."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments that say how its API is reached; each is None where it was not given."""

    def workflow_id(self, text: str) -> str:
        """The workflow's id in what was typed or pasted.

        Raises:
            InvalidInputs: It is none.
        """

    def default_base_url(self) -> str:
        """Where the API is if nothing says so."""

    def base_url(self) -> str:
        """Where the API is, by the environment.

        Raises:
            ConfigurationError: That can never work.
        """

    def client(self, api: str | None, **settings: Any) -> ClientT_co:
        """Make a client from the environment.

        Args:
            api: What ``--api`` named, None for nothing.
            settings: Limits, retries, listeners and so on.

        Raises:
            ConfigurationError: A setting cannot be used.
        """

    def generation_of_batch(self, generation: str | None) -> str | None:
        """What ``--api`` would have to name to go on with a batch.

        Args:
            generation: Of the API in which its jobs were made, as its ledger has it.
        """

    def wait_words(self, job_id: str, workflow_id: str | None) -> tuple[str, ...] | None:
        """The arguments of our command that waits for a job and prints what it gave; None for no such."""

    def look_words(self, job_id: str, workflow_id: str | None) -> tuple[str, ...] | None:
        """The arguments of our command that shows what a job has done; None for no such."""

    def answer_words(self, alias: str | None, status: str | None) -> tuple[str, ...] | None:
        """The arguments of our command that answers a paused job; None where people act on the platform.

        Args:
            alias: The job's second id, as far as it is known.
            status: The platform's own word for the pause.
        """

    answers_pauses: bool
    """Whether it has a call that answers a paused job."""

    def answering(self, client: Any, workflow_id: str, ask: Ask) -> Answer:
        """What answers the paused jobs of a batch; called where ``answers_pauses``.

        Args:
            client: What :meth:`client` has made.
            workflow_id: The workflow.
            ask: Gets a paused job as JSON values, and gives the text with which it goes on; None for none.
        """

    doctor_words: tuple[str, ...]
    """The arguments of our command that checks settings, network and limits."""

    def setting_checks(self, api: str | None) -> Iterable[Check]:
        """Check the settings, without a network."""

    live_steps: Sequence[str]
    """The names of the checks that :meth:`live_checks` makes."""

    async def live_checks(self, api: str | None, base_url: str, workflow_id: str | None) -> Sequence[Check]:
        """Check whether the API answers, and takes what gives access.

        Args:
            api: What ``--api`` named.
            base_url: Where the API is.
            workflow_id: A workflow to be read; None to find out without one.
        """


class Target(NamedTuple):
    """The platform that a command talks to, as it was named on the command line.

    Attributes:
        entry: The platform.
        api: What ``--api`` named: commands that are told as the next step need it, too.
        workflow_id: The workflow that the command is about; None where it is about none.
    """

    entry: PlatformEntry[Any]
    api: str | None = None
    workflow_id: str | None = None

    def wait(self, job_id: str) -> str | None:
        """The command that goes on waiting for a job."""
        return self._command(self.entry.wait_words(job_id, self.workflow_id))

    def look(self, job_id: str) -> str | None:
        """The command that shows what a job has done."""
        return self._command(self.entry.look_words(job_id, self.workflow_id))

    def answer(self, alias: str | None, status: str | None) -> str | None:
        """The command that answers a paused job."""
        return self._command(self.entry.answer_words(alias, status))

    def doctor(self) -> str:
        """The command that checks settings, network and limits."""
        return command_line(*self.entry.doctor_words, api=self.api)

    def _command(self, words: tuple[str, ...] | None) -> str | None:
        return None if words is None else command_line(*words, api=self.api)
