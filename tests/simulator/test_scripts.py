"""A simulator that does what a test says: answers, failures, delays, pauses, over a pipe of its own."""

from __future__ import annotations

import asyncio
import json
import select
import subprocess
import sys
import threading
import time
from datetime import date

import pytest
from client_tools import until

from opus_async import CallbackReceiver, JobFailed, JobStatus, OpusClient, RetryPolicy
from opus_async.batch import run_batch
from opus_async.simulator import ScriptedSimulator, Simulator, SimulatorConfig, SimulatorProcess
from opus_async.testing import quick_polls

TEXT = "T3xtOnlyWorkfl0w"
UUID = "c1a1c4ec-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def whole_module():
    with ScriptedSimulator(SimulatorConfig(run_time=0.01, queue_time=0)) as simulator:
        yield simulator


@pytest.fixture
def simulator(whole_module):
    yield whole_module
    whole_module.reset()


@pytest.fixture(params=["v0", "v1"])
def api(request):
    return request.param


@pytest.fixture
async def opus(simulator, api):
    policy = RetryPolicy(base=0.02, execute_grace=0.5)
    with quick_polls():
        async with OpusClient(
            simulator.service_key, base_url=simulator.base_url, api=api, retry=policy
        ) as client:
            yield client


async def texts(opus, rows):
    return {
        outcome.index: dict(outcome.outputs)
        async for outcome in opus.run_many(TEXT, [{"Text": row} for row in rows])
    }


async def test_answer_by_display_name_is_all_that_a_job_outputs(simulator, opus):
    simulator.answer(TEXT, {"Text": "said", "Characters": 3})
    outcome = await opus.run(TEXT, {"Text": "given"})
    assert dict(outcome.outputs) == {"Text": "said", "Characters": 3}


async def test_answer_by_variable_name_has_the_display_name_in_the_outcome(simulator, opus):
    simulator.answer(TEXT, {"workflow_output_t3xt_echo": "said"})
    assert dict((await opus.run(TEXT, {"Text": "given"})).outputs) == {"Text": "said"}


async def test_answer_by_uuid_of_a_workflow(simulator, opus):
    simulator.answer(UUID, lambda _inputs: {})
    workflow = await opus.workflows.get(UUID)
    given = {
        each.display_name: ("a.txt", b"x")
        if each.takes_file
        else [("a.txt", b"x")]
        if each.takes_files
        else "1"
        for each in workflow.inputs.values()
        if not each.nullable
    }
    assert dict((await opus.run(UUID, given)).raise_for_status().outputs) == {}


async def test_answer_of_none_computes_outputs_again(simulator, opus):
    simulator.answer(TEXT, {"Text": "said"})
    simulator.answer(TEXT, None)
    assert (await opus.run(TEXT, {"Text": "given"})).outputs["Text"] == "given"


async def test_answer_holds_for_jobs_started_from_then_on(simulator, opus):
    simulator.delay_next(TEXT, 0.3)
    before = await opus.jobs.initiate(TEXT)
    await opus.jobs.execute(before, {"Text": "given"}, workflow=await opus.workflows.get(TEXT))
    simulator.answer(TEXT, {"Text": "said"})
    assert (await opus.jobs.outcome(before)).outputs["Text"] == "given"


async def test_answer_of_one_workflow_leaves_the_others_alone(simulator, opus):
    simulator.answer("D0cumentWorkfl0w", {"Verdict": "NO"})
    assert (await opus.run(TEXT, {"Text": "given"})).outputs["Text"] == "given"


async def test_callable_gets_inputs_by_display_name_in_run_many(simulator, opus):
    simulator.answer(TEXT, lambda inputs: {"Text": inputs["Text"] * 2})
    assert await texts(opus, "abc") == {0: {"Text": "aa"}, 1: {"Text": "bb"}, 2: {"Text": "cc"}}


async def test_callable_may_be_a_coroutine_function(simulator, opus):
    async def answer(inputs):
        return {"Text": inputs["Text"].upper()}

    simulator.answer(TEXT, answer)
    assert await texts(opus, "a") == {0: {"Text": "A"}}


async def test_callable_that_takes_time_keeps_its_job_running_and_others_served(simulator, opus):
    released = threading.Event()

    def answer(inputs):
        if inputs["Text"] == "slow":
            released.wait(10)
        return {"Text": inputs["Text"]}

    simulator.answer(TEXT, answer)
    slow = await opus.jobs.initiate(TEXT)
    await opus.jobs.execute(slow, {"Text": "slow"}, workflow=await opus.workflows.get(TEXT))
    assert (await opus.run(TEXT, {"Text": "quick"})).outputs["Text"] == "quick"
    assert await opus.jobs.status(slow) == JobStatus.IN_PROGRESS
    released.set()
    assert (await opus.jobs.outcome(slow)).outputs["Text"] == "slow"


async def test_callable_may_ask_and_command_the_simulator(simulator, opus):
    def answer(_inputs):
        simulator.fail_next(TEXT)
        return {"Characters": simulator.state(jobs="0")["counters"]["jobs"]}

    simulator.answer(TEXT, answer)
    assert (await opus.run(TEXT, {"Text": "x"})).outputs["Characters"] >= 1
    simulator.answer(TEXT, None)
    assert (await opus.run(TEXT, {"Text": "x"})).status == JobStatus.FAILED


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda inputs: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda inputs: {"Txt": 1}, "has no output 'Txt': did you mean 'Text'"),
        (lambda inputs: "PASS", "is a str, not a mapping of outputs"),
        (lambda inputs: {"Text": date(2026, 1, 2)}, "a date, which JSON cannot say"),
    ],
    ids=["raises", "unknown output", "no mapping", "no JSON"],
)
async def test_callable_that_goes_wrong_fails_its_job_and_is_kept(simulator, opus, answer, said):
    simulator.answer(TEXT, answer)
    outcome = await opus.run(TEXT, {"Text": "x"})
    assert outcome.status == JobStatus.FAILED
    with pytest.raises(JobFailed, match="failed nodes"):
        outcome.raise_for_status()
    assert said in outcome.audit.failures[0].error
    (kept,) = simulator.errors
    assert said.partition(": ")[2] in str(kept)


async def test_fail_next_fails_so_many_jobs(simulator, opus):
    simulator.fail_next(TEXT, 2, node="Input", error="no credit")
    ends = [await opus.run(TEXT, {"Text": "x"}) for _ in range(3)]
    assert [end.status for end in ends] == [JobStatus.FAILED, JobStatus.FAILED, JobStatus.COMPLETED]
    assert ends[0].error.failed_nodes == ("Input",)
    assert "no credit" in str(ends[0].error)


async def test_delay_next_prolongs_the_next_job_alone(simulator, opus):
    simulator.delay_next(TEXT, 0.6)
    began = time.monotonic()
    assert (await opus.run(TEXT, {"Text": "x"})).ok
    first, began = time.monotonic() - began, time.monotonic()
    assert (await opus.run(TEXT, {"Text": "x"})).ok
    assert first > 0.6 > time.monotonic() - began


async def test_pause_next_parks_the_next_job(simulator, opus):
    simulator.pause_next(TEXT)
    simulator.pause_next(TEXT, 0.3)
    seen = []
    with opus.listening(lambda event: seen.append(getattr(event, "status", None))):
        with pytest.raises(TimeoutError):
            await opus.run(TEXT, {"Text": "x"}, timeout=0.5)
        assert JobStatus.WAITING in seen
        assert (await opus.run(TEXT, {"Text": "x"})).ok


async def test_resume_lets_one_job_that_waits_go_on(simulator, opus):
    simulator.pause_next(TEXT, times=3)
    waiting = {}

    def saw(event):
        if getattr(event, "status", None) == JobStatus.WAITING:
            waiting[event.index] = event.job_id

    with opus.listening(saw):
        stream = opus.run_many(TEXT, [{"Text": row} for row in "abc"])
        async with stream:
            await until(lambda: len(waiting) == 3)
            assert simulator.resume(waiting[1]) == [waiting[1]]
            assert (await anext(stream)).index == 1
            with pytest.raises(
                ValueError, match=f"job {waiting[1]} does not wait for a person: it is COMPLETED"
            ):
                simulator.resume(waiting[1])
            assert {waiting[0], waiting[2]} <= set(simulator.resume())  # another test's may wait, too
            assert {outcome.index async for outcome in stream} == {0, 2}
    assert simulator.resume() == []


async def test_resume_of_no_job_is_refused(simulator, opus):
    with pytest.raises(ValueError, match="job 99 does not wait for a person: there is no such job"):
        simulator.resume("99")


async def test_callback_of_a_resumed_job_comes_with_its_end(simulator, opus):
    simulator.pause_next(TEXT)
    seen = []
    receiver = CallbackReceiver()
    async with receiver.listening(), asyncio.TaskGroup() as group:
        with opus.listening(lambda event: seen.append(getattr(event, "status", None))):
            run = group.create_task(opus.run(TEXT, {"Text": "x"}, callback=receiver))
            await until(lambda: JobStatus.WAITING in seen)
            assert receiver.counts.accepted == 0
            simulator.resume()
            assert (await run).ok
        await until(lambda: receiver.counts.accepted == 1)


async def test_scripts_hold_in_batches(simulator, opus, tmp_path):
    simulator.answer(TEXT, lambda inputs: {"Text": f"<{inputs['Text']}>"})
    simulator.fail_next(TEXT)
    manifest = tmp_path / "rows.csv"
    manifest.write_text("Text\na\nb\nc\n")
    result = await run_batch(opus, manifest, workflow_id=TEXT, out=tmp_path / "out")
    assert (result.counts.completed, result.counts.failed) == (2, 1)
    assert {line["outputs"]["Text"] for line in result.results()} < {"<a>", "<b>", "<c>"}


async def test_callback_of_a_held_job_comes_with_its_answer(simulator, opus):
    asked, released = threading.Event(), threading.Event()

    def answer(_inputs):
        asked.set()
        released.wait(10)
        return {"Text": "said"}

    def delivered():
        return simulator.state(jobs="0")["counters"]["callbacks"]["delivered"]

    receiver = CallbackReceiver()
    before = delivered()
    simulator.answer(TEXT, answer)
    async with receiver.listening(), asyncio.TaskGroup() as group:
        run = group.create_task(opus.run(TEXT, {"Text": "x"}, callback=receiver))
        await until(asked.is_set)
        assert delivered() == before
        released.set()
        assert (await run).outputs["Text"] == "said"
        await until(lambda: delivered() > before)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            lambda to: to.answer("T3xtOnlyWorkfl0", {}),
            "no workflow 'T3xtOnlyWorkfl0': did you mean 'T3xtOnly",
        ),
        (lambda to: to.answer(TEXT, {"Txt": 1}), "has no output 'Txt': did you mean 'Text'"),
        (lambda to: to.answer(TEXT, {"Zzz": 1}), "has no output 'Zzz'; there are SHA-256, "),
        (lambda to: to.answer(TEXT, {"Text": date(2026, 1, 2)}), "a date, which JSON cannot say"),
        (lambda to: to.fail_next(TEXT, node="Inptu"), "has no node 'Inptu': did you mean 'Input'"),
        (lambda to: to.fail_next(TEXT, 0), "times must lie between 1 and"),
        (lambda to: to.delay_next(TEXT, -1), "seconds must be 0 or more"),
        (lambda to: to.pause_next("nowhere"), "no workflow 'nowhere'"),
        (lambda to: to.answer("nowhere", lambda inputs: {}), "no workflow 'nowhere'"),
        (
            lambda to: to.answer(TEXT, [1]),
            "an answer is a mapping of outputs, or a function that returns one",
        ),
        (lambda to: to.answer(TEXT, "said"), "an answer is a mapping of outputs"),
        (lambda to: to.answer(None, {}), "there is no workflow None; there are "),
        (lambda to: to.fail_next(TEXT, "2"), "times must lie between 1 and 100,000, not '2'"),
        (lambda to: to.fail_next(TEXT, 1.5), "times must lie between 1 and 100,000, not 1.5"),
        (lambda to: to.fail_next(TEXT, node=5), "has no node 5; there are "),
        (lambda to: to.delay_next(TEXT, "2"), "seconds must be 0 or more, not '2'"),
        (lambda to: to.pause_next(TEXT, True), "seconds must be 0 or more, not True"),
        (lambda to: to.resume([1]), "job [1] does not wait for a person"),
    ],
)
def test_script_that_cannot_be_followed_is_refused_with_what_there_is(simulator, command, said):
    with pytest.raises(ValueError) as caught:
        command(simulator)
    assert said in str(caught.value)


async def test_workflow_without_told_outputs_may_answer_anything(tmp_path):
    shown = {
        "workflow_id": "MyW0rkflowMyW0rk",
        "name": "Mine",
        "inputs": [{"variable_name": "a", "type": "str"}],
    }
    (tmp_path / "mine.json").write_text(json.dumps(shown))
    config = SimulatorConfig(run_time=0, queue_time=0, workflow_files=(tmp_path / "mine.json",))
    with ScriptedSimulator(config) as simulator, quick_polls():
        simulator.answer("MyW0rkflowMyW0rk", {"Decision": {"approved": True}})
        async with OpusClient(simulator.service_key, base_url=simulator.base_url) as opus:
            outcome = await opus.run("MyW0rkflowMyW0rk", {"a": "x"})
    assert dict(outcome.outputs) == {"Decision": {"approved": True}}


async def test_scripts_of_a_simulator_in_this_loop():
    config = SimulatorConfig(run_time=0, queue_time=0)
    async with Simulator(config) as simulator:
        simulator.world.scripts.answer(TEXT, {"Text": "said"})
        with quick_polls():
            async with OpusClient(simulator.service_key, base_url=simulator.base_url) as opus:
                assert (await opus.run(TEXT, {"Text": "x"})).outputs["Text"] == "said"


def test_commands_to_a_simulator_that_does_not_run_say_so():
    simulator = ScriptedSimulator()
    with pytest.raises(RuntimeError, match="not running"):
        simulator.answer(TEXT, {})
    with simulator:
        simulator.answer(TEXT, {})
    with pytest.raises(RuntimeError, match="not running"):
        simulator.answer(TEXT, {})


def test_simulator_process_takes_no_commands_unless_asked_to():
    with SimulatorProcess(SimulatorConfig(run_time=0)) as simulator:
        stdin, stdout = simulator._process.stdin, simulator._process.stdout
        stdin.write(b'{"id": 1, "do": "reset"}\n')
        stdin.flush()
        simulator.state()
        assert select.select([stdout], [], [], 0)[0] == []


PLUGIN = """
import pytest

pytestmark = pytest.mark.asyncio
W = "T3xtOnlyWorkfl0w"


async def test_a_says(opus_client, opus_simulator):
    opus_simulator.answer(W, {"Text": "said"})
    assert (await opus_client.run(W, {"Text": "x"})).outputs["Text"] == "said"


async def test_b_is_not_told(opus_client, opus_simulator):
    assert (await opus_client.run(W, {"Text": "x"})).outputs["Text"] == "x"


async def test_c_asserts_in_its_answer(opus_client, opus_simulator):
    def answer(inputs):
        assert inputs["Text"] == "y", "the wrong text"
        return {}

    opus_simulator.answer(W, answer)
    await opus_client.run(W, {"Text": "x"})


async def test_d_goes_on(opus_client):
    assert (await opus_client.run(W, {"Text": "x"})).ok
"""


def test_plugin_forgets_scripts_after_each_test_and_raises_what_answers_raised(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    (tmp_path / "test_it.py").write_text(PLUGIN)
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist"]
    done = subprocess.run(
        [sys.executable, *words, "--rootdir", str(tmp_path), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "4 passed, 1 error" in done.stdout, done.stdout
    assert "AssertionError: the wrong text" in done.stdout
