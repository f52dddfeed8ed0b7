"""House-keeping of jobs: detail, search, archive, duplicate, delete."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

import pytest

TEXT_ID, DOCUMENT_ID = "T3xtOnlyWorkfl0w", "D0cumentWorkfl0w"
TEXT_INPUT = "workflow_input_t3xtinput"


def seconds(moment):
    return datetime.fromisoformat(moment).timestamp()


async def detail(api, job_id):
    reply = await api.get(f"/job/{job_id}")
    assert reply.status == 200, reply.raw
    return reply.json


async def found(api, query="", path="/job/search"):
    reply = await api.get(f"{path}?{query}")
    assert reply.status == 200, reply.raw
    assert set(reply.json) == {"totalCount", "jobs"}
    return [job["title"] for job in reply.json["jobs"]]


async def test_simulator_job_details_of_a_shell(api):
    job_id = await api.initiate(title="Invoice 17")
    told = await detail(api, job_id)
    assert told["jobExecutionId"] == told["id"] == job_id
    assert (told["title"], told["description"]) == ("Invoice 17", "a description")
    assert (told["status"], told["finishedAt"], told["archived"]) == ("PENDING", None, False)
    assert (told["input"], told["output"]) == ({}, None)
    assert told["workflow"] == {"id": TEXT_ID, "name": "Text only"}
    workspace = (await api.get(f"/workflow/{TEXT_ID}")).json["workspaceId"]
    assert told["workspace"] == {"id": workspace}
    assert told["builderType"] == "OPUS_V2"


async def test_simulator_job_details_of_completed_job_have_input_output_and_audit(api):
    job_id = await api.initiate()
    await api.execute(job_id)
    told = await detail(api, job_id)
    assert told["status"] == "COMPLETED"
    assert told["input"] == {TEXT_INPUT: {"value": "hello", "type": "str", "displayName": "Text"}}
    assert told["output"] == (await api.get(f"/job/{job_id}/results")).json["jobResultsPayloadSchema"]
    assert told["audit"] == (await api.get(f"/job/{job_id}/audit")).json


async def test_simulator_job_details_have_finished_at_once_the_job_has_ended(serve, clock):
    api = await serve(clock=clock, queue_time=1, run_time=5)
    job_id = await api.initiate()
    await api.execute(job_id)
    clock.forward(5.5)
    running = await detail(api, job_id)
    assert (running["status"], running["finishedAt"], running["output"]) == ("IN_PROGRESS", None, None)
    clock.forward(60)
    ended = await detail(api, job_id)
    assert seconds(ended["finishedAt"]) == pytest.approx(seconds(ended["createdAt"]) + 6, abs=0.002)


async def test_simulator_job_details_of_failed_job_have_finished_at_and_no_output(serve):
    api = await serve(fail_share=1)
    job_id = await api.initiate()
    await api.execute(job_id)
    told = await detail(api, job_id)
    assert (told["status"], told["output"]) == ("FAILED", None)
    assert told["finishedAt"] >= told["createdAt"]
    assert told["audit"]["nb_failed_nodes"] == 1


async def test_simulator_job_details_of_waiting_job_have_no_finished_at(serve, clock):
    api = await serve(clock=clock, waiting_share=1, waiting_time=60)
    job_id = await api.initiate()
    await api.execute(job_id)
    assert ((await detail(api, job_id))["status"], (await detail(api, job_id))["finishedAt"]) == (
        "WAITING",
        None,
    )


async def test_trait_queued_looks_unstarted_hides_execution_in_job_details(serve, clock):
    api = await serve(clock=clock, queue_time=10, traits=frozenset({"queued_looks_unstarted"}))
    job_id = await api.initiate()
    before = await detail(api, job_id)
    await api.execute(job_id)
    assert await detail(api, job_id) == before
    clock.forward(10)
    assert (await detail(api, job_id))["input"]


async def test_trait_audit_missing_removes_audit_from_job_details(serve):
    api = await serve(traits=frozenset({"audit_missing"}))
    assert (await detail(api, await api.initiate()))["audit"] is None


async def test_trait_numeric_ids_applies_to_job_details_and_duplicate(serve):
    api = await serve(traits=frozenset({"numeric_ids"}))
    job_id = await api.initiate()
    told = await detail(api, job_id)
    assert told["jobExecutionId"] == told["id"] == int(job_id)
    assert (await api.get(f"/job/{job_id}/duplicate")).json == {"jobExecutionId": int(job_id) + 1}


ENDPOINTS = [
    ("GET", "/job/{}"),
    ("POST", "/job/{}/archive"),
    ("DELETE", "/job/{}/archive"),
    ("GET", "/job/{}/duplicate"),
    ("DELETE", "/job/{}/delete"),
]


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_simulator_job_management_of_unknown_job_is_404(api, method, path):
    reply = await api.call(method, path.format("1"))
    assert (reply.status, reply.message) == (404, "Job not found")


@pytest.mark.parametrize(
    ("method", "path"), [*ENDPOINTS, ("GET", "/job/search"), ("GET", "/job/search-light")]
)
async def test_simulator_job_management_requires_a_key(api, method, path):
    job_id = await api.initiate()
    assert (await api.call(method, path.format(job_id), headers={})).status == 401
    assert (await api.get(f"/job/{job_id}/status")).status == 200


async def test_simulator_job_management_does_not_see_v1_cases(api):
    world = api.simulator.world
    case = world.jobs.open(world.workflows.find(TEXT_ID), {"title": "a case"}, world.clock(), "v1")
    assert (await api.get(f"/job/{case.job_id}")).status == 404
    assert (await api.call("DELETE", f"/job/{case.job_id}/delete")).status == 404
    assert await found(api) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/job"),
        ("GET", "/job/"),
        ("GET", "/job/1/"),
        ("DELETE", "/job/1"),
        ("POST", "/job/1"),
        ("GET", "/job/1/archive"),
        ("GET", "/job/1/delete"),
        ("POST", "/job/1/duplicate"),
        ("GET", "/job/1/archive/2"),
        ("GET", "/job/initiate"),
        ("GET", "/job/execute"),
        ("GET", "/job/file"),
        ("POST", "/job/file/archive"),
        ("DELETE", "/job/file/delete"),
        ("GET", "/job/scheduled"),
        ("POST", "/job/search"),
        ("POST", "/job/search/archive"),
        ("GET", "/job/search-light/duplicate"),
        ("GET", "/job/v2/duplicate"),
    ],
)
async def test_simulator_job_management_answers_404_to_unknown_paths_and_methods(api, method, path):
    reply = await api.call(method, path)
    assert (reply.status, reply.message) == (404, f"Cannot {method} {path}")


async def test_simulator_job_details_accept_percent_encoded_id(api):
    job_id = await api.initiate()
    encoded = "".join(f"%{ord(sign):x}" for sign in job_id)
    assert (await detail(api, encoded))["id"] == job_id


async def test_simulator_job_search_pages_newest_first(api):
    titles = [f"row {number}" for number in range(30)]
    for title in titles:
        await api.initiate(title=title)
    newest = titles[::-1]
    assert (await api.get("/job/search")).json["totalCount"] == 30
    assert await found(api) == newest[:25]
    assert await found(api, "offset=25") == newest[25:]
    assert await found(api, "offset=2&maxResults=3") == newest[2:5]
    assert await found(api, "maxResults=100") == newest
    assert await found(api, "offset=30") == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("maxResults=101", "maxResults must not be greater than 100"),
        ("maxResults=many", "maxResults must be an integer number of at least 0"),
        ("maxResults=" + "9" * 5000, "maxResults must be an integer number of at least 0"),
        ("offset=-1", "offset must be an integer number of at least 0"),
        ("offset=1.5", "offset must be an integer number of at least 0"),
        ("startDate=yesterday", "startDate must be a valid ISO 8601 date string"),
        ("endDate=9999-12-31T23:59:59-14:00", "endDate must be a valid ISO 8601 date string"),
        ("status=DONE", "each value in status must be one of"),
        ("status=COMPLETED,DONE", "each value in status must be one of"),
    ],
)
async def test_simulator_job_search_refuses_invalid_parameters(api, query, message):
    for path in ("/job/search", "/job/search-light"):
        reply = await api.get(f"{path}?{query}")
        assert reply.status == 400
        assert len(reply.message) == 1
        assert message in reply.message[0]


async def test_simulator_job_search_reports_every_problem_at_once(api):
    assert len((await api.get("/job/search?offset=x&maxResults=500&startDate=x")).message) == 3


async def test_simulator_job_search_filters_by_workflow(api):
    await api.initiate(title="text")
    await api.initiate(DOCUMENT_ID, title="document")
    reference = (await api.get(f"/workflow/{DOCUMENT_ID}")).json["referenceEntityId"]
    assert await found(api, f"workflowId={DOCUMENT_ID}") == ["document"]
    assert await found(api, f"workflowId={reference}") == ["document"]
    assert await found(api, "workflowId=unknown") == []


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("invoice", ["INVOICE 2", "Invoice 1"]),
        ("VOICE 1", ["Invoice 1"]),
        ("GROSSE", ["Große Rechnung & mehr"]),
        ("ng & m", ["Große Rechnung & mehr"]),
        (".*", []),
    ],
)
async def test_simulator_job_search_filters_by_part_of_the_title(api, query, titles):
    for title in ("Invoice 1", "INVOICE 2", "Große Rechnung & mehr"):
        await api.initiate(title=title)
    assert await found(api, f"query={quote(query)}") == titles


async def test_simulator_job_search_finds_job_without_title(api):
    await api.post("/job/initiate", {"workflowId": TEXT_ID})
    assert await found(api) == [None]
    assert await found(api, "query=a") == []


async def three_statuses(serve, clock, *traits):
    """Serve a shell, a running job and a completed one; their titles are their statuses."""
    api = await serve(clock=clock, run_time=10, traits=frozenset(traits))
    await api.execute(await api.initiate(title="COMPLETED"))
    clock.forward(10)
    await api.execute(await api.initiate(title="IN_PROGRESS"))
    await api.initiate(title="PENDING")
    return api


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("status=COMPLETED", ["COMPLETED"]),
        ("status=PENDING,COMPLETED", ["PENDING", "COMPLETED"]),
        ("status=PENDING&status=IN_PROGRESS", ["PENDING", "IN_PROGRESS"]),
        ("status=PENDING,COMPLETED&status=IN_PROGRESS", ["PENDING", "IN_PROGRESS", "COMPLETED"]),
        ("status=PENDING%2CCOMPLETED", ["PENDING", "COMPLETED"]),
        ("status=FAILED,CANCELLED,TIMED_OUT,WAITING", []),
        ("status=", ["PENDING", "IN_PROGRESS", "COMPLETED"]),
    ],
)
async def test_simulator_job_search_accepts_repeated_and_comma_joined_statuses(serve, clock, query, titles):
    assert await found(await three_statuses(serve, clock), query) == titles


async def test_trait_search_repeated_only_refuses_comma_joined_statuses(serve, clock):
    api = await three_statuses(serve, clock, "search_repeated_only")
    assert await found(api, "status=PENDING&status=COMPLETED") == ["PENDING", "COMPLETED"]
    assert (await api.get("/job/search?status=PENDING,COMPLETED")).status == 400


async def test_trait_search_joined_only_uses_the_last_of_repeated_statuses(serve, clock):
    api = await three_statuses(serve, clock, "search_joined_only")
    assert await found(api, "status=PENDING,COMPLETED") == ["PENDING", "COMPLETED"]
    assert await found(api, "status=PENDING&status=COMPLETED") == ["COMPLETED"]


async def test_trait_spaced_status_can_be_searched_for_with_the_space(serve, clock):
    api = await three_statuses(serve, clock, "spaced_status")
    (job,) = (await api.get("/job/search?status=IN%20PROGRESS")).json["jobs"]
    assert (job["title"], job["status"]) == ("IN_PROGRESS", "IN PROGRESS")


async def test_simulator_job_details_and_search_show_status_as_status_endpoint_does(serve):
    api = await serve(fail_share=1, traits=frozenset({"fails_as_canceled", "status_under_state"}))
    job_id = await api.initiate()
    await api.execute(job_id)
    assert (await api.get(f"/job/{job_id}/status")).json == {"state": "CANCELED"}
    (light,) = (await api.get("/job/search-light")).json["jobs"]
    for told in (await detail(api, job_id), light):
        assert told["state"] == "CANCELED"
        assert "status" not in told


async def test_simulator_job_search_filters_by_creation_time(serve, clock):
    api = await serve(clock=clock)
    moments = []
    for title in ("first", "second", "third"):
        moments.append((await detail(api, await api.initiate(title=title)))["createdAt"])
        clock.forward(60)
    first, second, third = moments
    assert await found(api, f"startDate={second}") == ["third", "second"]
    assert await found(api, f"endDate={second}") == ["second", "first"]
    assert await found(api, f"startDate={second}&endDate={second}") == ["second"]
    assert await found(api, f"startDate={third}&endDate={first}") == []
    elsewhere = quote(second.replace("Z", "+00:00"))
    assert await found(api, f"startDate={elsewhere}") == ["third", "second"]
    assert await found(api, "startDate=2001-01-01&endDate=2001-01-02") == []
    assert await found(api, "startDate=2001-01-01") == ["third", "second", "first"]


async def test_simulator_job_search_light_shows_fewer_fields_of_the_same_jobs(api):
    await api.initiate(title="one")
    await api.initiate(title="two")
    (full,) = (await api.get("/job/search?query=ONE")).json["jobs"]
    (light,) = (await api.get("/job/search-light?query=ONE")).json["jobs"]
    assert light.items() < full.items()
    assert set(light) == {"jobExecutionId", "title", "status", "createdAt"}
    assert not {"input", "output", "audit"} & set(full)


async def test_simulator_job_search_counts_unknown_parameter_or_refuses_it_by_trait(serve):
    lenient, strict = await serve(), await serve(traits=frozenset({"unknown_fields_refused"}))
    assert (await lenient.get("/job/search?sort=asc")).status == 200
    assert lenient.simulator.state()["strange_fields"] == {"search.sort": 1}
    reply = await strict.get("/job/search?sort=asc")
    assert (reply.status, reply.message) == (400, ["property sort should not exist"])


async def test_simulator_job_archive_hides_job_from_searches_only(api):
    job_id = await api.initiate(title="old")
    await api.initiate(title="new")
    for _ in range(2):
        reply = await api.post(f"/job/{job_id}/archive")
        assert (reply.status, reply.json) == (200, {"success": True})
    assert await found(api) == await found(api, path="/job/search-light") == ["new"]
    assert (await api.get("/job/search")).json["totalCount"] == 1
    assert (await detail(api, job_id))["archived"] is True
    assert await api.status(job_id) == "PENDING"
    reply = await api.call("DELETE", f"/job/{job_id}/archive")
    assert (reply.status, reply.json) == (200, {"success": True})
    assert await found(api) == ["new", "old"]
    assert (await detail(api, job_id))["archived"] is False


async def test_simulator_job_duplicate_is_a_new_shell(api):
    job_id = await api.initiate(DOCUMENT_ID, title="Invoice 17")
    url = await api.upload(b"one")
    await api.execute(job_id, {"workflow_input_d0cument1": {"value": url, "type": "file"}})
    reply = await api.get(f"/job/{job_id}/duplicate")
    assert (reply.status, set(reply.json)) == (200, {"jobExecutionId"})
    copy = await detail(api, reply.json["jobExecutionId"])
    assert copy["id"] != job_id
    assert (copy["title"], copy["description"]) == ("Invoice 17 (copy)", "a description")
    assert (copy["status"], copy["input"], copy["workflow"]["id"]) == ("PENDING", {}, DOCUMENT_ID)
    assert (await detail(api, job_id))["title"] == "Invoice 17"
    assert api.simulator.state()["counters"]["executions"] == 1


async def test_simulator_job_delete_removes_job_everywhere(api):
    job_id, other = await api.initiate(title="gone"), await api.initiate(title="stays")
    await api.execute(job_id)
    reply = await api.call("DELETE", f"/job/{job_id}/delete")
    assert (reply.status, reply.json) == (200, {"success": True})
    for read in ("", "/status", "/results", "/audit", "/duplicate"):
        assert (await api.get(f"/job/{job_id}{read}")).status == 404
    for method, path in ENDPOINTS:
        assert (await api.call(method, path.format(job_id))).status == 404
    assert (await api.execute(job_id)).status == 404
    assert (await api.get(f"/_simulator/state?job={job_id}", headers={})).status == 404
    assert await found(api) == ["stays"]
    assert await api.status(other) == "PENDING"
    assert int(await api.initiate(title="later")) > int(other)


async def test_simulator_job_management_requests_are_counted(api):
    job_id = await api.initiate()
    for method, path in ENDPOINTS:
        await api.call(method, path.format(job_id))
    await found(api)
    await found(api, path="/job/search-light")
    counted = api.simulator.state()["counters"]["requests"]
    wanted = ("detail", "archive", "unarchive", "duplicate", "delete", "search", "search_light")
    assert {name: counted[name] for name in wanted} == dict.fromkeys(wanted, 1)
