"""What a job did, node by node, against the real simulator."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from urllib.request import Request, urlopen

import pytest
from command_line import SECONDS, command, environment, leading_to
from simulator_thread import SimulatorThread

from opus_async.cli import tables
from opus_async.simulator import SimulatorConfig

TEXT = "T3xtOnlyWorkfl0w"
LONG = "L0ngNamesWorkfl0"
NODES = [
    "Input",
    "Classify the document by its first page and by its letterhead",
    "とても長い名前のノードがここにあります",
    "Anamewithoutasinglespacethatgoesonandonandonuntilitsend",
    "Output",
]


def ran(opus, env, *more):
    """The id of a job that was run to its end, or as far as ``--timeout`` lets it."""
    return opus("run", TEXT, "--input", "Text=hällo", "--json", *more, env=env).json["job_id"]


def initiated(process):
    """The id of a job that was never executed."""
    asked = Request(
        f"{process.base_url}/job/initiate",
        data=json.dumps({"workflowId": TEXT, "title": "t", "description": "d"}).encode(),
        headers={"x-service-key": process.service_key, "Content-Type": "application/json"},
    )
    with urlopen(asked, timeout=SECONDS) as answer:
        return json.load(answer)["jobExecutionId"]


def table(said):
    """The header line, and the cells of each row by the first one."""
    header, empty, *lines = said.out.splitlines()
    assert not empty
    return header, {cells[0]: cells[1:] for cells in (re.split(" {2,}", line) for line in lines)}


def test_audit_command_exits_0_for_help_and_2_for_wrong_use(opus):
    said = opus("audit", "--help")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("usage: opus-async audit")
    for words_ in (("audit",), ("audit", "1", "2"), ("audit", "1", "--jason")):
        said = opus(*words_)
        assert (said.code, said.out) == (2, "")


def test_audit_command_prints_header_and_row_per_node(opus, to):
    job_id = ran(opus, to)
    said = opus("audit", job_id, env=to)
    assert (said.code, said.err) == (0, "")
    header, rows = table(said)
    total = len(rows) - 1
    facts = rf"Job {job_id}: finished, 0\.\d{{3}} s elapsed, {total} of {total} nodes executed"
    assert re.fullmatch(facts, header)
    assert list(rows)[:2] == ["NODE", "Input"]
    assert rows["NODE"] == ["STATUS", "START", "TOOK", "ERROR"]
    assert rows["Input"][:2] == ["COMPLETED", "+0.000 s"]
    starts = [cells[1] for cells in rows.values()][1:]
    assert starts == sorted(starts)
    assert len(set(starts)) > 1


def test_audit_command_json_has_normalised_fields_and_raw_response(opus, to):
    job_id = ran(opus, to)
    said = opus("audit", job_id, "--json", env=to)
    audit = said.json
    assert said.code == 0
    assert audit["job_id"] == job_id
    assert audit["progress"] == 1.0
    assert audit["failed_nodes"] == []
    assert audit["running_node"] is None
    assert audit["executed_nodes"] == [node["name"] for node in audit["nodes"]]
    assert audit["executed_count"] == audit["total_nodes"] == len(audit["nodes"])
    first, *_, last = audit["nodes"]
    assert audit["elapsed"] == pytest.approx(last["ended_at"] - first["started_at"], abs=0.0011)
    assert (audit["started_at"], audit["ended_at"]) == (first["started_at"], last["ended_at"])
    assert last["ended_at"] == pytest.approx(last["started_at"] + last["seconds"])
    assert [given["value"] for given in first["outputs"]] == ["hällo"]
    assert "hällo" in [given["value"] for given in last["outputs"]]
    assert set(last["outputs"][0]) == {"variable_name", "display_name", "type", "value"}
    assert audit["trail"] == []
    times = [audit[name] for name in ("started_at", "ended_at", "elapsed")]
    times += [node[name] for node in audit["nodes"] for name in ("started_at", "ended_at", "seconds")]
    assert times == [round(time, 3) for time in times]
    assert audit["raw"]["audit"]["nodes_execution_data"][first["name"]]["execution_status"] == "COMPLETED"


def test_audit_command_exits_0_for_failed_job_and_names_failed_nodes(opus):
    with SimulatorThread(SimulatorConfig(run_time=0.1, fail_share=1)) as process:
        env = leading_to(process)
        job_id = ran(opus, env)
        plain, whole = opus("audit", job_id, env=env), opus("audit", job_id, "--json", env=env)
    assert (plain.code, whole.code) == (0, 0)
    (failed,) = whole.json["failed_nodes"]
    header, rows = table(plain)
    assert header.startswith(f"Job {job_id}: failed, ")
    assert header.endswith(f"nodes executed, failed nodes: {failed}")
    assert rows[failed][0] == "FAILED"
    assert whole.json["progress"] < 1


def test_audit_command_shows_no_nodes_for_job_never_executed(opus, simulator, to):
    job_id = initiated(simulator)
    plain, whole = opus("audit", job_id, env=to), opus("audit", job_id, "--json", env=to)
    assert (plain.code, plain.err) == (0, "")
    total = whole.json["total_nodes"]
    assert plain.out == f"Job {job_id}: no node has run, 0 of {total} nodes executed\n"
    assert (whole.code, whole.json["nodes"], whole.json["elapsed"]) == (0, [], None)
    assert whole.json["progress"] == 0


def test_audit_command_shows_running_node_of_job_in_progress(opus):
    with SimulatorThread(SimulatorConfig(run_time=3600)) as process:
        env = leading_to(process)
        job_id = ran(opus, env, "--timeout", "1")
        plain, whole = opus("audit", job_id, env=env), opus("audit", job_id, "--json", env=env)
    assert (plain.code, whole.code) == (0, 0)
    running = whole.json["running_node"]
    header, rows = table(plain)
    assert header.startswith(f"Job {job_id}: at {running}, ")
    assert rows[running][0] == "IN_PROGRESS"
    assert whole.json["nodes"][-1]["seconds"] > 0
    assert whole.json["progress"] < 1


def test_audit_command_prints_older_audit_trail_as_table(opus):
    with SimulatorThread(SimulatorConfig(run_time=0, traits=frozenset({"audit_trail"}))) as process:
        env = leading_to(process)
        job_id = ran(opus, env)
        plain, whole = opus("audit", job_id, env=env), opus("audit", job_id, "--json", env=env)
    header, _, titles, *rows = plain.out.splitlines()  # several can have the same millisecond
    assert header == f"Job {job_id}: entries in its trail: {len(rows)}"
    assert titles.split() == ["TIME", "ACTOR", "ACTION"]
    assert rows[0].endswith("  SYSTEM  Job initiated")
    assert whole.json["trail"][0] == {
        "timestamp": whole.json["trail"][0]["timestamp"],
        "actor": "SYSTEM",
        "action": "Job initiated",
    }
    assert whole.json["nodes"] == []


def test_audit_command_exits_2_for_unknown_job(opus, to):
    for more in ((), ("--json",)):
        said = opus("audit", "99999999", *more, env=to)
        assert (said.code, said.out) == (2, "")
        assert "does not know this id" in said.err
        assert "/job/99999999/audit" in said.err


def test_audit_command_distinguishes_missing_audit_from_unknown_job(opus):
    with SimulatorThread(SimulatorConfig(run_time=0, traits=frozenset({"audit_missing"}))) as process:
        env = leading_to(process)
        job_id = ran(opus, env)
        there, whole = opus("audit", job_id, env=env), opus("audit", job_id, "--json", env=env)
        gone = opus("audit", "99999999", env=env)
    assert there.code == 0
    assert there.out == f"Job {job_id}: no node is named\n"
    assert f"no audit of job {job_id} yet; its status is COMPLETED" in there.err
    assert (whole.code, whole.json["nodes"], whole.json["raw"]) == (0, [], None)
    assert (gone.code, gone.out) == (2, "")


@pytest.mark.parametrize(("job_id", "part"), [("", "job id is empty"), (" ", "job id is empty")])
def test_audit_command_exits_2_for_empty_job_id(opus, to, job_id, part):
    said = opus("audit", job_id, env=to)
    assert (said.code, said.out) == (2, "")
    assert part in said.err


def on_terminal(*words_, env):
    """The lines that a terminal of 80 columns gets."""
    leader, follower = pty.openpty()
    try:
        process = subprocess.Popen(
            command(*words_),
            stdout=follower,
            stderr=subprocess.PIPE,
            env=environment(**env, COLUMNS="80", LC_ALL="C.UTF-8"),
        )
    finally:
        os.close(follower)
    shown = b""
    with process.stderr, os.fdopen(leader, "rb", buffering=0) as terminal:
        try:
            while piece := terminal.read(4096):
                shown += piece
        except OSError:  # how Linux says that the other side is closed
            pass
        assert process.wait(SECONDS) == 0, process.stderr.read()
    return shown.decode().splitlines()


def test_audit_command_fits_80_columns_without_cutting_node_names(opus, tmp_path):
    workflow = {"id": LONG, "inputs": [{"name": "Text", "type": "str"}], "nodes": NODES}
    (tmp_path / "long.json").write_text(json.dumps(workflow))
    config = SimulatorConfig(run_time=0, workflow_files=(tmp_path / "long.json",))
    with SimulatorThread(config) as process:
        env = leading_to(process)
        job_id = opus("run", LONG, "--input", "Text=x", "--json", env=env).json["job_id"]
        lines = on_terminal("audit", job_id, env=env)
        piped = opus("audit", job_id, env=env).out.splitlines()
    assert max(map(tables.cells_wide, lines)) <= 80
    (heading,) = (line for line in lines if line.startswith("NODE"))
    width = heading.index("STATUS")
    names = "".join(_cells(line, width) for line in lines[lines.index(heading) + 1 :])
    assert names.replace(" ", "") == "".join(NODES).replace(" ", "")
    assert not any("\x1b" in line for line in lines)
    assert len(piped) == 3 + len(NODES)  # where nobody looks, a row is a line


def _cells(line, width):
    """The beginning of a line, as many cells of a terminal."""
    taken = ""
    for letter in line:
        if tables.cells_wide(taken + letter) > width:
            break
        taken += letter
    return taken
