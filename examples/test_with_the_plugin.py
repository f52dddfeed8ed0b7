"""Test your own code with the pytest plugin, which provides a simulated Opus.

In a project of your own nothing but pytest and pytest-asyncio is needed; in this one, install '.[test]':

python -m pytest examples/test_with_the_plugin.py
"""

from pathlib import Path

import pytest

from opus_async import InvalidInputs, JobFailed, OpusClient
from opus_async.simulator import ScriptedSimulator

pytestmark = pytest.mark.asyncio
WORKFLOW = "D0cumentWorkfl0w"


async def verdict_on(opus: OpusClient, document: Path) -> str:
    """Stand for the code under test: run a document through the workflow and return its verdict."""
    outcome = await opus.run(WORKFLOW, {"Document": document, "Threshold": 0.0})
    return str(outcome.raise_for_status().outputs["Verdict"])


async def test_a_document_gets_a_verdict(
    opus_client: OpusClient, opus_simulator: ScriptedSimulator, tmp_path: Path
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


async def test_the_workflow_answers_what_the_test_says(
    opus_client: OpusClient, opus_simulator: ScriptedSimulator, tmp_path: Path
) -> None:
    """Outputs go by display name; what is said is forgotten after the test."""
    (tmp_path / "contract.txt").write_text("between A and B\n")
    opus_simulator.answer(WORKFLOW, {"Verdict": "REVIEW"})

    assert await verdict_on(opus_client, tmp_path / "contract.txt") == "REVIEW"


async def test_the_workflow_answers_by_its_inputs(
    opus_client: OpusClient, opus_simulator: ScriptedSimulator
) -> None:
    """A function gets the inputs of each job by display name."""
    opus_simulator.answer("T3xtOnlyWorkfl0w", lambda inputs: {"Text": inputs["Text"].upper()})

    rows = [{"Text": "a"}, {"Text": "b"}]
    said = [outcome.outputs["Text"] async for outcome in opus_client.run_many("T3xtOnlyWorkfl0w", rows)]
    assert sorted(said) == ["A", "B"]


async def test_a_failed_job_is_an_error(
    opus_client: OpusClient, opus_simulator: ScriptedSimulator, tmp_path: Path
) -> None:
    """The next job fails, the one after it does not."""
    (tmp_path / "contract.txt").write_text("between A and B\n")
    opus_simulator.fail_next(WORKFLOW, error="the scan is blank")

    with pytest.raises(JobFailed, match="the scan is blank"):
        await verdict_on(opus_client, tmp_path / "contract.txt")
    assert await verdict_on(opus_client, tmp_path / "contract.txt") == "PASS"
