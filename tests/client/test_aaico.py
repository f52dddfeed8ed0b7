"""A client that is not ours, and works against the live platform, completes a job on the simulator.

`opus-aaico` runs in the virtual environment that OPUS_ASYNC_TEST_AAICO names, made by
`python3 -m venv FOLDER && FOLDER/bin/pip install opus-aaico==0.6.0`.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from client_tools import sha256

from opus_async.simulator.builtin import BUILTIN, CLAIM_ID, DOCUMENT_ID

FOLDER = os.environ.get("OPUS_ASYNC_TEST_AAICO")  # read here: a fixture clears OPUS_* for each test
SCRIPT = Path(__file__).parents[1] / "support" / "aaico_job.py"
MAKE_IT = "python3 -m venv FOLDER && FOLDER/bin/pip install opus-aaico==0.6.0"
CONTENT = b"first line\nsecond line\n"
FORM = "workflow_input_c1aimf0rm"


@pytest.fixture
def python():
    if not FOLDER:
        pytest.skip(f"OPUS_ASYNC_TEST_AAICO is not set: {MAKE_IT}")
    program = Path(FOLDER) / "bin" / "python"
    if not program.exists():
        pytest.skip(f"there is no virtual environment in {FOLDER}: {MAKE_IT}")
    return program


@pytest.fixture
def ask(python, tmp_path):
    """What the client reads of one job with a file, run in a process of its own."""

    async def run(simulator, kind, workflow_id, variable):
        form = tmp_path / "form.txt"
        form.write_bytes(CONTENT)
        process = await asyncio.create_subprocess_exec(
            *(str(python), str(SCRIPT), kind, workflow_id, variable, str(form)),
            cwd=tmp_path,
            env={"OPUS_API_KEY": simulator.service_key, "OPUS_BASE_URL": simulator.base_url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            told, trouble = await asyncio.wait_for(process.communicate(), 60)
        except TimeoutError:
            process.kill()
            await process.communicate()
            raise
        assert process.returncode == 0, trouble.decode()
        return json.loads(told)

    return run


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_aaico_completes_a_job_with_a_file(simulate, ask, tmp_path, kind):
    simulator = await simulate(run_time=0.2, keep_files=str(tmp_path / "kept"))
    told = await ask(simulator, kind, CLAIM_ID, FORM)
    outputs = {each["displayName"]: each["value"] for each in told["outputs"].values()}
    assert told["status"] == told["statuses"][-1] == "COMPLETED"
    assert outputs["SHA-256"] == sha256(CONTENT)
    assert (outputs["Size"], outputs["Lines"]) == (len(CONTENT), 2)
    assert next(iter(told["inputs"])) == FORM
    assert told["inputs"][FORM]["allowed_types"] == [{"type": "file"}]
    assert told["nodes"] == ["n1", "n2", "n3", "n4"]
    assert told["edges"] == [["n1", "n2"], ["n2", "n3"], ["n3", "n4"]]
    assert told["ends"] == [["n1"], ["n4"]]
    assert told["executed_nodes"] == ["Input", "Extract", "Review", "Output"]
    assert told["input"][FORM]["type"] == "file"
    assert told["found"] == [told["job_id"]]
    assert told["download"][1] == len(CONTENT)
    state = simulator.state()
    [job] = state["jobs"].values()
    assert (job["executions"], [file["sha256"] for file in job["files"].values()]) == (1, [sha256(CONTENT)])
    assert state["leaks"] == []


async def test_aaico_reads_a_workflow_of_the_older_kind_by_its_uuid(simulate, ask, tmp_path):
    simulator = await simulate(keep_files=str(tmp_path / "kept"))
    [document] = [workflow for workflow in BUILTIN if workflow.workflow_id == DOCUMENT_ID]
    told = await ask(simulator, "sync", document.reference_entity_id, "workflow_input_d0cument1")
    assert told["status"] == "COMPLETED"
    assert list(told["inputs"]) == list(document.by_name)
