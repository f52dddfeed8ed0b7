"""What a file says that workflows shall be: the input of ``operativus apply``.

The file holds a list ``workflows``, or one workflow by itself. Nothing is asked of a server here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from opus_async.cli.argument_parser import did_you_mean
from opus_async.cli.errors import WrongUse
from opus_async.cli.operativus.documents import Fields, Items, Node, Text, places, read

_WORKFLOW = ("name", "id", "description", "steps")
_STEP = ("agent", "action", "id")
_MEANT = {
    "agentId": "agent",
    "agent_id": "agent",
    "prompt": "action",
    "stepOrder": "the order of the list",
    "order": "the order of the list",
}
"""Name of a field elsewhere -> what says the same here."""
_SHOWN = 20
"""Problems of a file that are told."""


@dataclass(frozen=True, slots=True)
class WantedStep:
    """A step as a file says it shall be.

    Attributes:
        agent: The agent that is asked; empty for kinds of steps that have none.
        action: What it is to do.
        id: Of the step on the server that it is; None to find it by its agent and action.
        where: The place in the file.
    """

    agent: str
    action: str
    id: str | None
    where: str


@dataclass(frozen=True, slots=True)
class WantedWorkflow:
    """A workflow as a file says it shall be.

    Attributes:
        name: Its name.
        id: Of the workflow on the server that it is; None to find it by its name.
        description: None to leave it as it is.
        steps: All of them in order; None to leave them as they are.
        where: The place in the file.
    """

    name: str
    id: str | None
    description: str | None
    steps: tuple[WantedStep, ...] | None
    where: str


class _Reader:
    """From a document to workflows; collects what is wrong."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def workflows(self, document: Node) -> list[WantedWorkflow]:
        """All workflows of a document."""
        if isinstance(document, Fields) and "workflows" in document.values:
            self._names(document, ("workflows",), "beside 'workflows'")
            listed = document.values["workflows"]
            found = [self._workflow(node) for node in self._items(listed, "workflows")]
        elif isinstance(document, Fields) and document.values:
            found = [self._workflow(document)]
        else:
            self._say(
                document, "holds no workflow: write a list 'workflows', or one workflow with its 'name'"
            )
            found = []
        self._same_names([each for each in found if each is not None])
        return [each for each in found if each is not None]

    def _workflow(self, node: Node) -> WantedWorkflow | None:
        if not isinstance(node, Fields):
            self._say(node, "is no workflow: write its fields, name first")
            return None
        self._names(node, _WORKFLOW, "of a workflow")
        name = self._text(node, "name", required="name: how people find it")
        steps = node.values.get("steps")
        wanted = None
        if steps is not None:
            several = [self._step(each) for each in self._items(steps, "steps")]
            wanted = tuple(step for step in several if step is not None)
        if name is None:
            return None
        return WantedWorkflow(
            name, self._text(node, "id"), self._text(node, "description"), wanted, node.where
        )

    def _step(self, node: Node) -> WantedStep | None:
        if not isinstance(node, Fields):
            self._say(node, "is no step: write its fields, agent and action")
            return None
        self._names(node, _STEP, "of a step")
        agent = self._text(node, "agent", required="agent: the id of an agent of the server")
        action = self._text(node, "action", required="action: what the agent is to do")
        if agent is None or action is None:
            return None
        return WantedStep(agent, action, self._text(node, "id"), node.where)

    def _items(self, node: Node, name: str) -> Sequence[Node]:
        if isinstance(node, Items):
            return node.values
        if isinstance(node, Text) and node.value is None:
            self._say(node, f"{name} is empty: write a list, or [] for none")
        else:
            self._say(node, f"{name} is no list: write each of them behind a dash ([[...]] in TOML)")
        return ()

    def _text(self, node: Fields, name: str, *, required: str = "") -> str | None:
        found = node.values.get(name)
        if found is None or (isinstance(found, Text) and found.value is None):
            if required:
                self._say(node, f"{name} is missing: add {required}")
            return None
        if not isinstance(found, Text):
            self._say(found, f"{name} is no text: write it in quotes")
            return None
        if found.kind:
            self._say(found, f"{name} is a {found.kind}: put it in quotes")
            return None
        if required and not (found.value or "").strip():
            self._say(found, f"{name} is empty: give {required}")
            return None
        return found.value

    def _names(self, node: Fields, known: Sequence[str], of_what: str) -> None:
        for name, value in node.values.items():
            if name not in known:
                meant = f"; here that is {_MEANT[name]!r}" if name in _MEANT else did_you_mean(name, known)
                self._say(value, f"{name!r} is no field {of_what}{meant} (there are {', '.join(known)})")

    def _same_names(self, found: Sequence[WantedWorkflow]) -> None:
        for what, values in (
            ("name", [(each.name, each) for each in found if each.id is None]),
            ("id", [(each.id, each) for each in found if each.id is not None]),
        ):
            first: dict[str | None, WantedWorkflow] = {}
            for value, each in values:
                if value in first:
                    self.problems.append(
                        f"{each.where}: the {what} {value!r} comes at {first[value].where}, too: "
                        f"{'give their ids' if what == 'name' else 'take one of them out'}"
                    )
                first.setdefault(value, each)

    def _say(self, node: Node, problem: str) -> None:
        self.problems.append(f"{node.where}: {problem}")


def read_workflows(path: Path) -> list[WantedWorkflow]:
    """Read the workflows of a file.

    Raises:
        WrongUse: Something is wrong with it; the message has all of it, each with its place and what to do.
    """
    document = read(path)
    reader = _Reader()
    found = reader.workflows(document)
    problems = [*places(document), *reader.problems]
    if problems:
        more = [f"... and {len(problems) - _SHOWN:,} more"] if len(problems) > _SHOWN else []
        raise WrongUse(
            "\n".join([f"{path} cannot be applied; nothing was changed:", *_told(problems), *more])
        )
    return found


def _told(problems: Sequence[str]) -> Iterator[str]:
    return (f"  {problem}" for problem in problems[:_SHOWN])
