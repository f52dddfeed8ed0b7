"""A job's life: status by the clock, results from bytes, the audit, the traits."""

from __future__ import annotations

import hashlib

import pytest

from opus_async.simulator import SimulatorConfig
from opus_async.simulator.builtin import BUILTIN
from opus_async.simulator.durations import Duration
from opus_async.simulator.runs import JobBook, Run

DOCUMENT = "D0cumentWorkfl0w"
ALL_TYPES = "B9uGJfZ3CFwOdMKH"
TEXT_INPUT = "workflow_input_t3xtinput"
PDF = b"%PDF-1.7\n<< /Type /Page >>\n<< /Type /Page >>\n<< /Type /Pages >>"


def document(file_url, **more):
    return {
        "workflow_input_d0cument1": {"value": file_url, "type": "file", "displayName": "Document"},
        **more,
    }


async def test_simulator_results_of_document_are_computed_from_its_bytes(api):
    outputs = await api.run(DOCUMENT, document(await api.upload(PDF, ".pdf")))
    assert outputs == {
        "SHA-256": hashlib.sha256(PDF).hexdigest(),
        "Size": len(PDF),
        "Type": "PDF",
        "Pages": 2,
        "Verdict": "PASS",
    }


async def test_simulator_results_of_text_document_have_lines_instead_of_pages(api):
    outputs = await api.run(DOCUMENT, document(await api.upload(b"a\nb\n")))
    assert (outputs["Lines"], "Pages" in outputs) == (2, False)


async def test_simulator_results_verdict_depends_on_threshold(api):
    data = b"some document"
    share = int(hashlib.sha256(data).hexdigest()[:8], 16) / 16**8
    url = await api.upload(data)
    verdicts = [
        (await api.run(DOCUMENT, document(url, workflow_input_thresh0ld={"value": limit, "type": "float"})))[
            "Verdict"
        ]
        for limit in (share - 0.01, share + 0.01)
    ]
    assert verdicts == ["PASS", "REVIEW"]


async def test_simulator_results_echo_every_input_as_sent(api):
    one, two = await api.upload(b"one\n"), await api.upload(PDF, ".pdf")
    values = {
        "we4tej0ly": ("str", "ünïcödé \U0001f600 \u0000"),
        "a0hk6ujuo": ("float", 45.8),
        "h69vx5i4a": ("file", one),
        "m2z6rkzgj": ("bool", False),
        "2kbsjrx1y": ("array", []),
        "bzti690ga": ("object", {"a": [None, {"b": 1.5}]}),
        "k3ayfjyh7": ("date", "2024-02-29"),
        "auqgnzk8d": ("array_files", [two, one]),
    }
    payload = {
        f"workflow_input_{name}": {"value": value, "type": kind} for name, (kind, value) in values.items()
    }
    job_id = await api.initiate(ALL_TYPES)
    assert (await api.execute(job_id, payload)).status == 201
    schema = (await api.get(f"/job/{job_id}/results")).json["jobResultsPayloadSchema"]
    for name, (kind, value) in values.items():
        assert schema[f"workflow_output_{name}"]["value"] == value
        assert schema[f"workflow_output_{name}"]["type"] == kind
    assert schema["workflow_output_h69vx5i4a_sha256"]["value"] == hashlib.sha256(b"one\n").hexdigest()
    assert schema["workflow_output_auqgnzk8d_pages"]["value"] == [2, None]
    assert schema["workflow_output_auqgnzk8d_size"]["displayName"] == "FileInput(Multiple) Size"


async def test_simulator_workflow_schema_has_the_documented_inputs(api):
    details = (await api.get(f"/workflow/{ALL_TYPES}")).json
    schema = details["jobPayloadSchema"]
    assert [entry["type"] for entry in schema.values()] == [
        "str", "float", "file", "bool", "array", "object", "date", "array_files",
    ]  # fmt: skip
    file_input = schema["workflow_input_h69vx5i4a"]
    assert file_input["id"] == "h69vx5i4a"
    assert file_input["display_name"] == "FileInput(Single)"
    assert file_input["is_nullable"] is False
    assert file_input["tags"][0]["variable_name"] == "allowed_file_types"
    assert {
        "workflowId",
        "name",
        "description",
        "industry",
        "active",
        "createdAt",
        "workflowBlueprint",
    } <= set(details)


async def test_simulator_job_status_follows_the_clock(serve, clock):
    api = await serve(clock=clock, run_time=10, queue_time=1)
    job_id = await api.initiate()
    seen = [await api.status(job_id)]
    await api.execute(job_id)
    for seconds in (0, 2, 8, 2):
        clock.forward(seconds)
        seen.append(await api.status(job_id))
    assert seen == ["PENDING", "PENDING", "IN_PROGRESS", "IN_PROGRESS", "COMPLETED"]


async def test_simulator_results_are_400_until_the_job_has_completed(serve, clock):
    api = await serve(clock=clock, run_time=10)
    job_id = await api.initiate()
    assert (await api.get(f"/job/{job_id}/results")).status == 400
    await api.execute(job_id)
    assert (await api.get(f"/job/{job_id}/results")).status == 400
    clock.forward(10)
    assert (await api.get(f"/job/{job_id}/results")).status == 200


async def test_simulator_job_status_of_waiting_job_returns_to_in_progress_and_completes(serve, clock):
    api = await serve(clock=clock, run_time=10, waiting_share=1, waiting_time=100)
    job_id = await api.initiate()
    await api.execute(job_id)
    seen = []
    for seconds in (1, 6, 90, 10, 5):
        clock.forward(seconds)
        seen.append(await api.status(job_id))
    assert seen == ["IN_PROGRESS", "WAITING", "WAITING", "IN_PROGRESS", "COMPLETED"]


async def test_simulator_audit_of_waiting_job_shows_a_sleeping_node(serve, clock):
    api = await serve(clock=clock, run_time=10, waiting_share=1, waiting_time=100)
    job_id = await api.initiate()
    await api.execute(job_id)
    clock.forward(50)
    audit = (await api.get(f"/job/{job_id}/audit")).json
    assert audit["running_node"] == "Review"
    assert audit["audit"]["nodes_execution_data"]["Review"]["execution_status"] == "SLEEPING"


async def test_simulator_audit_of_failed_job_names_its_failed_node(serve):
    api = await serve(fail_share=1)
    job_id = await api.initiate()
    await api.execute(job_id)
    audit = (await api.get(f"/job/{job_id}/audit")).json
    assert await api.status(job_id) == "FAILED"
    assert audit["nb_failed_nodes"] == 1
    (name,) = audit["failed_nodes"]
    assert audit["audit"]["nodes_execution_data"][name]["execution_status"] == "FAILED"
    assert name not in audit["executed_nodes"]
    assert (await api.get(f"/job/{job_id}/results")).status == 400


async def test_simulator_audit_shows_progress(serve, clock):
    api = await serve(clock=clock, run_time=10, queue_time=1)
    job_id = await api.initiate()
    shell = (await api.get(f"/job/{job_id}/audit")).json
    await api.execute(job_id)
    queued = (await api.get(f"/job/{job_id}/audit")).json
    clock.forward(2)
    running = (await api.get(f"/job/{job_id}/audit")).json
    clock.forward(20)
    finished = (await api.get(f"/job/{job_id}/audit")).json
    assert (shell["nb_executed_nodes"], shell["running_node"]) == (0, "")
    assert queued != shell
    assert queued["next_node_to_execute"] == "Input"
    assert (running["executed_nodes"], running["running_node"]) == (["Input"], "Extract")
    assert running["next_node_to_execute"] == "Review"
    entry = running["audit"]["nodes_execution_data"]["Input"]
    assert entry["execution_output"] == [{TEXT_INPUT: "hello"}]
    assert isinstance(entry["execution_start_time"], int)
    assert finished["nb_executed_nodes"] == finished["nb_nodes"] == 4
    assert finished["remaining_nodes_to_execute"] == []
    assert finished["audit"]["nodes_execution_data"]["Output"]["execution_output"]


async def test_simulator_fail_share_is_drawn_by_title_and_reproducible_from_seed(serve):
    async def fates(seed):
        api = await serve(fail_share=0.5, seed=seed)
        found = {}
        for number in range(24):
            job_id = await api.initiate(title=f"row {number}")
            await api.execute(job_id)
            found[number] = await api.status(job_id)
        return found

    first, again, other = await fates(1), await fates(1), await fates(2)
    assert first == again
    assert first != other
    assert {"COMPLETED", "FAILED"} == set(first.values())


async def test_simulator_second_execution_is_counted_in_state(api):
    job_id = await api.initiate()
    assert [(await api.execute(job_id)).status for _ in range(2)] == [201, 201]
    state = api.simulator.state()
    assert state["jobs"][job_id]["executions"] == 2
    assert state["counters"]["executed_twice"] == [job_id]


async def test_simulator_job_ids_are_increasing_decimal_text(api):
    ids = [await api.initiate() for _ in range(3)]
    assert ids == ["2514", "2515", "2516"]


@pytest.mark.parametrize(
    ("spec", "low", "middle", "high"),
    [
        ("0.5", 0.5, 0.5, 0.5),
        (0, 0, 0, 0),
        ("0.2-2", 0.2, 1.1, 2),
        ("lognormal:1.0,0", 1, 1, 1),
        ("exponential:0", 0, 0, 0),
        ("300ms", 0.3, 0.3, 0.3),
        ("30s-1m", 30, 45, 60),
        ("lognormal:1m,0", 60, 60, 60),
    ],
)
def test_simulator_duration_parses_constant_range_and_lognormal(spec, low, middle, high):
    duration = Duration.parse(spec)
    assert [duration.at(q) for q in (0, 0.5, 1)] == pytest.approx([low, middle, high])


@pytest.mark.parametrize(
    "spec", ["", "x", "-1", "2-1", "lognormal:0,1", "lognormal:1", "exponential:x", "1e3", "nan"]
)
def test_simulator_duration_refuses_invalid_text(spec):
    with pytest.raises(ValueError, match=r"duration|backwards"):
        Duration.parse(spec)


def ends_of_runs(capacity, starts, *, run_time=10.0):
    jobs = JobBook(SimulatorConfig(run_time=run_time, queue_time=1.0, capacity=capacity))
    ends = []
    for start in starts:
        job = jobs.open(BUILTIN[0], {}, start)
        jobs.start(job, start)
        ends.append(job.run.ends_at)
    return ends


def test_simulator_capacity_queues_runs_in_the_order_of_their_starts():
    assert ends_of_runs(2, [0, 0, 0, 5, 100]) == [11, 11, 21, 21, 111]


def test_simulator_capacity_of_any_number_queues_none():
    assert ends_of_runs(None, [0, 0, 0]) == [11, 11, 11]


def test_simulator_capacity_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1 run"):
        SimulatorConfig(capacity=0)


def test_simulator_duration_exponential_has_its_mean_and_forgets():
    duration = Duration.parse("exponential:2s")
    quantiles = [(step + 0.5) / 20_000 for step in range(20_000)]
    assert sum(map(duration.at, quantiles)) / len(quantiles) == pytest.approx(2, rel=0.01)
    assert duration.at(0.75) == pytest.approx(2 * duration.at(0.5))


def test_simulator_duration_lognormal_has_its_median_and_a_tail():
    duration = Duration.parse("lognormal:2,0.5")
    assert duration.at(0.5) == pytest.approx(2)
    assert duration.at(0.99) > 6


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_simulator_run_without_work_is_completed_at_once(nodes):
    run = Run(accepted_at=0, queue=0, work=0, waiting=0, nodes=nodes, failing_node=None)
    assert run.status(0) == "COMPLETED"


# Traits: each is one named departure.


async def completed(serve, *traits, **fields):
    api = await serve(traits=frozenset(traits), **fields)
    job_id = await api.initiate()
    return api, job_id, await api.execute(job_id)


async def test_trait_numeric_ids_gives_job_ids_as_json_numbers(serve):
    api = await serve(traits=frozenset({"numeric_ids"}))
    reply = await api.post("/job/initiate", {"workflowId": "T3xtOnlyWorkfl0w"})
    assert reply.json == {"jobExecutionId": 2514}
    assert (await api.execute("2514")).json["jobExecutionId"] == 2514


async def test_trait_spaced_status_writes_in_progress_with_a_space(serve):
    api, job_id, _ = await completed(serve, "spaced_status", run_time=60)
    assert await api.status(job_id) == "IN PROGRESS"


async def test_trait_execute_200_answers_200_job_started(serve):
    _, _, reply = await completed(serve, "execute_200")
    assert (reply.status, reply.json) == (200, {"statusCode": 200, "message": "Job Started"})


async def test_trait_execute_echo_returns_the_payload_values(serve):
    _, _, reply = await completed(serve, "execute_echo")
    assert reply.json["jobPayloadSchemaInstance"] == {TEXT_INPUT: "hello"}


async def test_simulator_execute_answers_201_with_success_message_and_job_id(serve):
    _, job_id, reply = await completed(serve)
    message = "Job execution has been started"
    assert (reply.status, reply.json) == (
        201,
        {"success": True, "message": message, "jobExecutionId": job_id},
    )


async def test_trait_execute_inner_error_answers_200_with_500_inside_and_does_not_start(serve):
    api, job_id, reply = await completed(serve, "execute_inner_error")
    assert (reply.status, reply.json["statusCode"]) == (200, 500)
    assert api.simulator.state()["jobs"][job_id]["executions"] == 0
    assert (await api.execute(job_id)).status == 201


async def test_trait_execute_repeat_refused_answers_409_to_second_execute(serve):
    api, job_id, _ = await completed(serve, "execute_repeat_refused")
    assert (await api.execute(job_id)).status == 409
    assert api.simulator.state()["jobs"][job_id]["executions"] == 1


async def test_trait_queued_looks_unstarted_hides_execution_of_queued_job(serve, clock):
    api = await serve(clock=clock, traits=frozenset({"queued_looks_unstarted"}), queue_time=5, run_time=5)
    job_id = await api.initiate()
    shell = [(await api.get(f"/job/{job_id}/{read}")).raw for read in ("status", "audit")]
    await api.execute(job_id)
    queued = [(await api.get(f"/job/{job_id}/{read}")).raw for read in ("status", "audit")]
    assert queued == shell
    clock.forward(6)
    assert await api.status(job_id) == "IN_PROGRESS"


async def test_trait_callback_required_refuses_execute_without_callback_url(serve):
    _, _, without = await completed(serve, callback_required=True)
    assert (without.status, without.message) == (400, ["callbackUrl must be a URL address"])
    api = await serve(traits=frozenset({"callback_required"}))
    assert (await api.execute(await api.initiate(), callbackUrl="https://example.com/x")).status == 201


async def test_trait_results_bare_list_old_and_nested_change_results_shape(serve):
    digest = hashlib.sha256(b"hello").hexdigest()
    shapes = {}
    for trait in ("results_bare_list", "results_old", "results_nested"):
        api, job_id, _ = await completed(serve, trait)
        shapes[trait] = (await api.get(f"/job/{job_id}/results")).json
    assert shapes["results_bare_list"][0] == {"workflow_output_t3xt_sha256": digest}
    assert shapes["results_old"]["results"]["data"]["SHA-256"] == digest
    nested = shapes["results_nested"]["results"]["jobResultsPayloadSchema"]
    assert nested["workflow_output_t3xt_sha256"]["value"] == digest


async def test_trait_results_late_answers_202_twice(serve):
    api, job_id, _ = await completed(serve, "results_late")
    replies = [await api.get(f"/job/{job_id}/results") for _ in range(3)]
    assert [reply.status for reply in replies] == [202, 202, 200]
    assert replies[0].raw == b""


async def test_trait_audit_trail_null_missing_and_all_remaining_change_the_audit(serve):
    api, job_id, _ = await completed(serve, "audit_trail")
    trail = (await api.get(f"/job/{job_id}/audit")).json["auditTrail"]
    assert [entry["action"] for entry in trail][-1] == "Job completed successfully"
    api, job_id, _ = await completed(serve, "audit_null")
    assert (await api.get(f"/job/{job_id}/audit")).json["audit"] is None
    api, job_id, _ = await completed(serve, "audit_missing")
    assert (await api.get(f"/job/{job_id}/audit")).status == 404
    api, job_id, _ = await completed(serve, "audit_all_remaining")
    assert len((await api.get(f"/job/{job_id}/audit")).json["remaining_nodes_to_execute"]) == 4


async def test_simulator_unknown_fields_are_counted_and_refused_by_trait(serve):
    body = {"workflowId": "T3xtOnlyWorkfl0w", "version": "2"}
    lenient, strict = await serve(), await serve(traits=frozenset({"unknown_fields_refused"}))
    assert (await lenient.post("/job/initiate", body)).status == 201
    assert lenient.simulator.state()["strange_fields"] == {"initiate.version": 1}
    reply = await strict.post("/job/initiate", body)
    assert (reply.status, reply.message) == (400, ["property version should not exist"])
