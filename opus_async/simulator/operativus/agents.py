"""The agents that exist, and what they answer: a function of their name and their text, so tests can say it.

In the source no agent is given the text of ``action``: it gets the output of the step before.
"""

from __future__ import annotations

from typing import Final

APPROVAL_AGENT: Final = "approval_agent"
"""Asks a person each time: its step pauses the run."""
FAILING_AGENT: Final = "failing_agent"
"""Fails each time."""

AGENTS: Final = (
    "assistant",
    "document_writer",
    "finance_agent",
    "procurator_assistant",
    "writer_agent",
    "research_agent",
    "review_agent",
    APPROVAL_AGENT,
    FAILING_AGENT,
)
"""Every built-in agent. Whoever takes the first of a list takes one that does its work."""
RENAMED: Final = frozenset({"finance_agent", "procurator_assistant"})
"""The agents of the vendor's examples, which newer servers do not have."""

AGENT_KINDS: Final = frozenset({"AGENT", "SEQUENTIAL", "PARALLEL", "JOIN", "ROUTER"})
"""Kinds of step that call their agent, where they have one."""
KINDS: Final = AGENT_KINDS | {"CONDITION", "WEBHOOK", "LOOP", "FUNCTION", "WORKFLOW"}
"""Words that `action` is read as; any other text means AGENT."""


def answer_of(agent_id: str, text: str) -> str:
    """Return what an agent answers to a text."""
    return f"[{agent_id}] {text}"


def kind_of(action: str | None) -> str:
    """Return the kind of step that an `action` stands for."""
    word = (action or "").strip().upper()
    return word if word in KINDS else "AGENT"
