"""Waiting for a job that somebody else started, against the real simulator."""

from __future__ import annotations

import signal
import socket
import subprocess

import pytest
from command_line import SECONDS, WRONG_KEY, at, command, environment, leading_to, serving
from simulator_thread import SimulatorThread

from opus_async.simulator import SimulatorConfig

TEXT = ("run", "T3xtOnlyWorkfl0w", "--input", "Text=hällo", "--json")
NEXT = """
    go on waiting:        opus-async wait {job_id}
    see what it has done: opus-async audit {job_id}
"""


def stages(said):
    """What stderr tells, each stage once."""
    return list(dict.fromkeys(line.split()[2] for line in said.err.splitlines() if " s  " in line))


def test_wait_command_prints_outputs_of_job_left_by_run_timeout(opus):
    with SimulatorThread(SimulatorConfig(run_time=4)) as process:
        env = leading_to(process)
        left = opus(*TEXT, "--timeout", "1", env=env)
        said = opus("wait", left.json["job_id"], env=env)
    assert (left.code, said.code) == (5, 0)
    assert said.json["Text"] == "hällo"
    assert stages(said) == ["watch", "results", "done"]
    assert f"  watch     job {left.json['job_id']}\n" in said.err
    assert "  watch     IN_PROGRESS\n" in said.err
    assert said.err.endswith("  done      COMPLETED\n")


def test_wait_command_prints_same_result_as_run_for_ended_job(opus, to):
    done = opus(*TEXT, env=to).json
    plain, whole = opus("wait", done["job_id"], env=to), opus("wait", done["job_id"], "--json", env=to)
    assert (plain.code, whole.code) == (0, 0)
    assert plain.json == done["outputs"]
    assert {**whole.json, "timings": 0} == {**done, "timings": 0}


def test_wait_command_exits_1_for_failed_job_and_names_nodes_and_audit(opus):
    with SimulatorThread(SimulatorConfig(run_time=0.1, fail_share=1)) as process:
        env = leading_to(process)
        ran = opus(*TEXT, env=env).json
        plain, whole = opus("wait", ran["job_id"], env=env), opus("wait", ran["job_id"], "--json", env=env)
    assert (plain.code, whole.code, plain.out) == (1, 1, "")
    assert "failed nodes: " in plain.err
    assert plain.err.endswith(f"What each of its nodes did: opus-async audit {ran['job_id']}\n")
    assert whole.json["error"] == ran["error"]
    assert whole.json["error"]["failed_nodes"]
    assert whole.json["status"] == "FAILED"


def test_wait_command_exits_1_for_failed_job_without_audit(opus):
    config = SimulatorConfig(run_time=0, fail_share=1, traits=frozenset({"audit_missing"}))
    with SimulatorThread(config) as process:
        env = leading_to(process)
        job_id = opus(*TEXT, env=env).json["job_id"]
        said = opus("wait", job_id, env=env)
    assert said.code == 1
    assert "its audit could not be read" in said.err
    assert said.err.count(f"opus-async audit {job_id}") == 1


def test_wait_command_exits_5_at_timeout_and_names_job(opus):
    with SimulatorThread(SimulatorConfig(run_time=3600)) as process:
        env = leading_to(process)
        job_id = opus(*TEXT, "--timeout", "1", env=env).json["job_id"]
        said = opus("wait", job_id, "--timeout", "1", "--json", env=env)
        other = opus("wait", job_id, "--timeout", "0.5", "--api", "v0", env=env)
    assert said.code == 5
    assert "No outcome after 1 s: it is IN_PROGRESS." in said.err
    assert said.err.endswith(NEXT.format(job_id=job_id))
    assert said.json["job_id"] == job_id
    assert said.json["error"]["type"] == "DeadlineExceeded"
    assert other.err.endswith(NEXT.format(job_id=f"{job_id} --api v0"))


def test_wait_command_exits_5_at_timeout_if_platform_is_unreachable(opus):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and never listens
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        said = opus(
            "wait", "2514", "--timeout", "1", env={"OPUS_SERVICE_KEY": WRONG_KEY, "OPUS_BASE_URL": url}
        )
    assert said.code == 5
    assert "  watch     status again in " in said.err
    assert "its status could not be read, and 'opus-async doctor' may tell why" in said.err
    assert said.err.endswith(NEXT.format(job_id="2514"))


def test_wait_command_ctrl_c_exits_130_and_says_how_to_continue(opus, tmp_path):
    with SimulatorThread(SimulatorConfig(run_time=3600)) as simulator:
        env = leading_to(simulator)
        job_id = opus(*TEXT, "--timeout", "1", env=env).json["job_id"]
        process = subprocess.Popen(
            command("wait", job_id),
            cwd=tmp_path,
            env=environment(**env),
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process.stderr, process.stdout:
            while "IN_PROGRESS" not in (line := process.stderr.readline()):
                assert line, "it ended before it saw the job"
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
            assert process.wait(SECONDS) == 130
            assert not process.stdout.read()
    assert f"interrupted; job {job_id} goes on remotely" in said
    assert said.endswith(NEXT.format(job_id=job_id))


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_wait_command_exits_2_for_unknown_or_empty_job_id(opus, to, more):
    said = opus("wait", "99999999", *more, env=to)
    assert said.code == 2
    assert "does not know this id" in said.err
    assert "may still run" not in said.err
    assert opus("wait", " ", *more, env=to).code == 2


def test_wait_command_exits_1_if_results_of_completed_job_do_not_arrive(opus):
    def answer(request):
        return (200, b'{"status": "COMPLETED"}') if request.path == "/job/2514/status" else (202, b"")

    with serving(answer) as port:
        said = opus("wait", "2514", "--timeout", "3", env=at(port))
    assert (said.code, said.out) == (1, "")
    assert stages(said) == ["watch", "results", "done"]
    assert "No outcome after 3 s; it ended as COMPLETED, and only what it left is missing" in said.err
    assert "what it left, once more: opus-async wait 2514\n" in said.err
