"""``opus-async operativus``: workflows and runs of a real simulated server, one by one."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess

import pytest
from batch_command import heard
from command_line import SECONDS, command, environment
from operativus_command import (
    APPROVAL,
    FAILING,
    asked,
    config,
    leading_to_operativus,
    runs,
    script,
    workflow,
)
from simulator_thread import SimulatorThread

from opus_async.cli import platforms
from opus_async.operativus import OperativusClient
from opus_async.operativus.platform import OperativusPlatform
from opus_async.testing import quick_polls

BRIEFED = "[writer_agent] [finance_agent] prices"


@pytest.fixture(autouse=True)
def _quick():
    with quick_polls(0.05):
        yield


@pytest.fixture(params=["real", "documented"])
def agents_in_both_forms(request, agents):
    """An Operativus that answers as its source does, and one that answers as the vendor's page says."""
    if request.param == "real":
        yield agents
        return
    with SimulatorThread(config(operativus={"form": "documented"})) as process:
        yield leading_to_operativus(process)


# What is there


def test_operativus_workflows_are_listed_in_both_forms(opus, agents_in_both_forms):
    env = agents_in_both_forms
    flow = workflow(env, name="Daily\nbriefing")
    said = opus("operativus", "workflows", env=env)
    assert re.search(rf"^{flow} +Daily briefing +(2)? *$", said.out, re.MULTILINE), said.out
    found = opus("operativus", "workflows", "--json", env=env).json["workflows"]
    listed = {each["id"]: each for each in found}
    assert (listed[flow]["name"], listed[flow]["raw"]["id"]) == ("Daily\nbriefing", flow)


def test_operativus_workflows_of_a_new_server_names_apply(opus):
    with SimulatorThread(config()) as process:
        said = opus("operativus", "workflows", env=leading_to_operativus(process))
    assert (said.code, said.out) == (0, "ID  NAME  STEPS  DESCRIPTION\n")
    assert "'opus-async operativus apply FILE' makes some" in said.err


def test_operativus_show_and_steps_tell_steps_in_order(opus, agents_in_both_forms):
    env = agents_in_both_forms
    flow = workflow(env, "writer_agent", "finance_agent")
    shown = opus("operativus", "show", flow, env=env)
    assert shown.code == 0
    assert shown.out.startswith(f"Briefing ({flow})\n")
    assert re.findall(r"^(\d) .* (\w+_agent) ", shown.out, re.MULTILINE) == [
        ("1", "writer_agent"),
        ("2", "finance_agent"),
    ]
    assert f"Try: opus-async operativus run {flow} --input TEXT" in shown.err
    listed = opus("operativus", "steps", flow, "--json", env=env).json["steps"]
    assert [(step["order"], step["agent"]) for step in listed] == [(1, "writer_agent"), (2, "finance_agent")]
    assert opus("operativus", "show", flow, "--json", env=env).json["steps"] == listed


def test_operativus_show_of_workflow_without_steps_says_that_it_cannot_run(opus, agents):
    made = asked(agents, "POST", "/api/v1/workflows", {"name": "Empty", "description": "of all"})
    said = opus("operativus", "show", made["id"], env=agents)
    assert said.out == f"Empty ({made['id']})\nof all\n\nIt has no steps, and cannot be run.\n"
    refused = opus("operativus", "run", made["id"], "--input", "x", env=agents)
    assert (refused.code, "has no steps" in refused.err) == (2, True)


def test_operativus_verbs_exit_2_for_workflow_that_is_not_there(opus, agents):
    for words in (("show", "nope"), ("steps", "nope"), ("runs", "nope"), ("run", "nope", "--input", "x")):
        said = opus("operativus", *words, env=agents)
        assert said.code == 2, said
        assert "does not know this id" in said.err
        assert "--api" not in said.err


@pytest.mark.parametrize("verb", ["workflows", "show", "steps", "run", "wait", "runs", "resume", "apply"])
def test_operativus_verbs_offer_json_and_no_generation(opus, verb):
    said = opus("operativus", verb, "--help")
    assert said.code == 0
    assert "--json" in said.out
    assert "--api" not in said.out


def test_operativus_runs_are_listed_newest_first(opus, agents_in_both_forms):
    env = agents_in_both_forms
    flow = workflow(env)
    for text in ("one", "two", "three"):
        assert opus("operativus", "run", flow, "--input", text, env=env).code == 0
    newest = [run["id"] for run in runs(env, flow)]
    said = opus("operativus", "runs", flow, "--limit", "2", env=env)
    assert re.findall(r"^(\S+) +COMPLETED ", said.out, re.MULTILINE) == newest[:2]
    assert "These are the newest of 3 runs; --limit lists more." in said.err
    listed = opus("operativus", "runs", flow, "--json", env=env).json
    assert (listed["total"], [run["id"] for run in listed["runs"]]) == (3, newest)
    assert set(listed["runs"][0]) >= {"session_id", "status", "created_at", "step_order"}


# Running


def test_operativus_run_prints_outputs_on_stdout_and_stages_on_stderr(opus, agents_in_both_forms):
    env = agents_in_both_forms
    flow = workflow(env)
    said = opus("operativus", "run", flow, "--input", "-", env=env, stdin="prices")
    assert said.code == 0, said.err
    assert said.json == {"output": BRIEFED, "steps": ["[finance_agent] prices", BRIEFED]}
    stages = re.findall(r"^ +[\d.]+ s  (\w+)", said.err, re.MULTILINE)
    assert list(dict.fromkeys(stages)) == ["input", "login", "session", "run", "watch", "outputs", "done"]
    (run,) = runs(env, flow)
    assert f"job {run['sessionId']}" in said.err


def test_operativus_run_json_has_outcome_with_session_as_job(opus, agents):
    flow = workflow(agents)
    found = opus("operativus", "run", flow, "--input", "prices", "--json", env=agents).json
    (run,) = runs(agents, flow)
    assert (found["job_id"], found["status"], found["ok"]) == (run["sessionId"], "COMPLETED", True)
    assert found["results"]["id"] == run["id"]
    again = opus("operativus", "wait", flow, found["job_id"], "--json", env=agents)
    assert (again.code, again.json["outputs"]) == (0, found["outputs"]), again.err


def test_operativus_run_that_fails_exits_1_and_names_the_step(opus, agents):
    flow = workflow(agents, *FAILING)
    said = opus("operativus", "run", flow, "--input", "x", env=agents)
    assert (said.code, said.out) == (1, "")
    assert "failing_agent" in said.err
    assert "audit" not in said.err
    failed = opus("operativus", "run", flow, "--input", "x", "--json", env=agents)
    assert failed.json["error"]["type"] == "JobFailed"
    assert failed.json["error"]["failed_nodes"]


def test_operativus_run_that_waits_exits_5_and_what_is_printed_goes_on_with_it(opus, agents):
    flow = workflow(agents, *APPROVAL)
    said = opus("operativus", "run", flow, "--input", "x", env=agents)
    assert (said.code, said.out) == (5, "")
    answer, wait = re.findall(r": opus-async (operativus .*)$", said.err, re.MULTILINE)
    resumed = opus(*shlex.split(answer.replace("TEXT", "'go on; $(rm -rf .)'")), env=agents)
    assert resumed.code == 0, resumed.err
    done = opus(*shlex.split(wait), env=agents)
    assert (done.code, done.json["output"]) == (0, "[writer_agent] go on; $(rm -rf .)"), done.err
    paused = opus("operativus", "run", flow, "--input", "x", "--json", env=agents)
    assert (paused.code, paused.json["status"], paused.json["error"]["type"]) == (5, "WAITING", "JobPaused")
    assert "'opus-async operativus resume" in paused.json["error"]["message"]


def test_operativus_wait_stays_with_a_paused_run_until_it_was_answered(opus, agents):
    flow = workflow(agents, *APPROVAL)
    opus("operativus", "run", flow, "--input", "x", env=agents)
    (run,) = runs(agents, flow)
    process = subprocess.Popen(
        command("operativus", "wait", flow, run["sessionId"]),
        env=environment(**agents),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process, process.stdout, process.stderr:
        said = heard(process, "unless it was answered just now: opus-async ")
        printed = said.rpartition("opus-async ")[2]
        assert opus(*shlex.split(printed.replace("TEXT", "yes")), env=agents).code == 0
        out, _ = process.communicate(timeout=SECONDS)
    assert (process.returncode, json.loads(out)["output"]) == (0, "[writer_agent] yes")
    assert opus("operativus", "wait", flow, run["sessionId"], "--timeout", "1s", env=agents).code == 0


def test_operativus_resume_takes_text_from_stdin_and_prints_json(opus, agents):
    flow = workflow(agents, *APPROVAL)
    opus("operativus", "run", flow, "--input", "x", env=agents)
    (run,) = runs(agents, flow)
    words = ("operativus", "resume", run["id"], "--output", "-", "--json")
    assert opus(*words, env=agents, stdin="yes").json["run_id"] == run["id"]
    done = opus("operativus", "wait", flow, run["sessionId"], env=agents)
    assert done.json["output"] == "[writer_agent] yes"


def test_operativus_run_on_pause_answers_and_goes_on(opus, agents, tmp_path):
    flow = workflow(agents, *APPROVAL)
    approve = script(tmp_path, "import json, sys; print(json.load(sys.stdin)['texts'][-1].upper())")
    words = ("operativus", "run", flow, "--input", "x")
    said = opus(*words, "--on-pause", approve, env=agents)
    assert (said.code, said.json["output"]) == (0, "[writer_agent] [FINANCE_AGENT] X"), said.err
    assert opus(*words, env=agents).code == 5
    session = runs(agents, flow)[0]["sessionId"]
    said = opus("operativus", "wait", flow, session, "--on-pause", approve, env=agents)
    assert (said.code, said.json["output"]) == (0, "[writer_agent] [FINANCE_AGENT] X"), said.err


def test_operativus_run_past_its_time_out_exits_5_and_tells_how_to_wait(opus):
    with SimulatorThread(config(run_time=3)) as process:
        env = leading_to_operativus(process)
        flow = workflow(env)
        said = opus("operativus", "run", flow, "--input", "prices", "--timeout", "500ms", env=env)
        assert said.code == 5
        assert "billed" not in said.err
        (wait,) = re.findall(r"opus-async (operativus wait .*)$", said.err, re.MULTILINE)
        assert f"opus-async operativus runs {flow}\n" in said.err
        assert opus(*shlex.split(wait), env=env).json["output"] == BRIEFED


def test_operativus_run_that_is_interrupted_tells_what_goes_on(agents):
    flow = workflow(agents, *APPROVAL)
    process = subprocess.Popen(
        command("operativus", "run", flow, "--input", "x", "--on-pause", "sleep 60"),
        env=environment(**agents),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process, process.stdout, process.stderr:
        while "parked" not in (line := process.stderr.readline()):
            assert line, "it ended without a word"
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(SECONDS) == 130
    assert "goes on remotely. Do not run the same inputs again" in said
    assert f"opus-async operativus wait {flow} " in said


def test_operativus_verbs_exit_4_without_token_and_name_what_to_set(opus):
    said = opus("operativus", "workflows", env={"OPERATIVUS_BASE_URL": "http://127.0.0.1:1"})
    assert said.code == 4
    assert "OPERATIVUS_TOKEN" in said.err
    assert "'opus-async doctor --platform operativus' checks" in said.err


def test_operativus_verbs_log_in_with_password_and_never_show_it(opus, operativus_server):
    server = operativus_server.operativus
    env = {
        "OPERATIVUS_BASE_URL": server.base_url,
        "OPERATIVUS_USERNAME": server.username,
        "OPERATIVUS_PASSWORD": server.password,
    }
    said = opus("operativus", "workflows", "--debug", env=env)
    assert said.code == 0, said.err
    assert server.password not in said.out + said.err
    wrong = opus("operativus", "workflows", env={**env, "OPERATIVUS_PASSWORD": "hunter2secret"})
    assert wrong.code == 4
    assert "hunter2secret" not in wrong.out + wrong.err


def test_operativus_verbs_exit_4_for_user_without_role(opus, operativus_server, tmp_path):
    server = operativus_server.operativus
    account = server.accounts["user"]
    env = {
        "OPERATIVUS_BASE_URL": server.base_url,
        "OPERATIVUS_USERNAME": account.username,
        "OPERATIVUS_PASSWORD": account.password,
    }
    (tmp_path / "f.toml").write_text('name = "Of a user"\n')
    said = opus("operativus", "apply", "f.toml", env=env)
    assert said.code == 4
    assert "ADMIN" in said.err


def test_operativus_entry_has_stages_of_its_platform():
    assert platforms.entry("operativus").stages == OperativusPlatform.stages


async def test_operativus_runs_texts_tells_what_a_person_approves(agents):
    flow = workflow(agents, *APPROVAL)
    server = {"base_url": agents["OPERATIVUS_BASE_URL"], "token": agents["OPERATIVUS_TOKEN"]}
    async with OperativusClient(**server) as client:
        paused = await client.run(flow, "x")
        run = await client.runs.find(flow, paused.job_id)
        assert await client.runs.texts(run) == ("[finance_agent] x",)
        assert json.dumps(paused.to_dict())
