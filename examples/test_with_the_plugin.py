"""Test your own code with the pytest plugin, which provides a simulated Opus.

In a project of your own nothing but pytest and pytest-asyncio is needed; in this one, install '.[test]':

python -m pytest examples/test_with_the_plugin.py
"""

from pathlib import Path

import pytest

from opus_async import InvalidInputs, OpusClient
from opus_async.simulator import SimulatorProcess

pytestmark = pytest.mark.asyncio
WORKFLOW = "D0cumentWorkfl0w"


async def verdict_on(opus: OpusClient, document: Path) -> str:
    """Stand for the code under test: run a document through the workflow and return its verdict."""
    outcome = await opus.run(WORKFLOW, {"Document": document, "Threshold": 0.0})
    return str(outcome.raise_for_status().outputs["Verdict"])


async def test_a_document_gets_a_verdict(
    opus_client: OpusClient, opus_simulator: SimulatorProcess, tmp_path: Path
) -> None:
    """The simulator computes its answers from the bytes it received, and counts the requests."""
    document = tmp_path / "contract.txt"
    document.write_text("between A and B\n")

    assert await verdict_on(opus_client, document) == "PASS"
    assert opus_simulator.state()["counters"]["executed_twice"] == []


async def test_a_missing_document_costs_nothing(opus_client: OpusClient, tmp_path: Path) -> None:
    """Inputs are checked before anything is sent."""
    with pytest.raises(InvalidInputs, match=r"nowhere\.pdf"):
        await verdict_on(opus_client, tmp_path / "nowhere.pdf")
