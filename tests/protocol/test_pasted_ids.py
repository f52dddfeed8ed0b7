"""Ids as people paste them: alone, with spaces around, as the link of a page."""

from __future__ import annotations

import pytest

from opus_async.errors import InvalidInputs
from opus_async.input_problems import ProblemCode
from opus_async.opus.protocol.pasted_ids import IdKind, id_in

SHORT = "B9uGJfZ3CFwOdMKH"
LETTERS = "AbcdEfghIjklMnop"
UUID = "c33c50ac-6d26-46ef-9360-8a3916a22017"
APP = "https://app.opus.com/app"
WORKFLOW, JOB = IdKind.WORKFLOW, IdKind.JOB


@pytest.mark.parametrize(
    "identifier", [SHORT, LETTERS, UUID, "wf-123", "a b", "a/b", "..", "ä?", "http", "7"]
)
@pytest.mark.parametrize("around", ["{}", "  {}\n", "\u200b{}\ufeff ", "\t{}\u00a0"])
@pytest.mark.parametrize("kind", list(IdKind))
def test_ids_alone_are_taken_as_they_are_but_for_what_is_around_them(identifier, around, kind):
    assert id_in(around.format(identifier), kind) == identifier


@pytest.mark.parametrize("given", [None, 2514, True, 1.5])
def test_pasted_id_that_is_no_text_is_returned_unchanged(given):
    assert id_in(given, JOB) is given


@pytest.mark.parametrize("identifier", [SHORT, LETTERS, UUID, UUID.upper(), "w-1"])
@pytest.mark.parametrize(
    "link",
    [
        APP + "/workflow/{}",
        APP + "/workflow/{}/",
        APP + "/workflow/{}/edit",
        APP + "/workflow/{}?tab=runs&job=12#history",
        APP + "/workflow/share/{}",
        " \n" + APP + "/workflow/share/{}\u200b ",
        "app.opus.com/app/workflow/{}",
        "http://app.opus.com/app/workflow/{}",
        "HTTPS://APP.OPUS.COM/APP/WORKFLOW/{}",
        "<" + APP + "/workflow/{}>",
        "My workflow: " + APP + "/workflow/{}",
        "[My workflow](" + APP + "/workflow/{})",
        "https://opus.example.com/app/workflow/{}",
        "https://app.opus.com/#/app/workflow/{}",
        "https://operator.opus.com/reference-workflow/v2/workflow-object/{}/variables-schema",
        APP + "/workflow/{}/job/2514",
    ],
)
def test_links_of_workflows_name_their_id(link, identifier):
    assert id_in(link.format(identifier), WORKFLOW) == identifier


@pytest.mark.parametrize(
    "link",
    [
        APP + "/job/2514",
        APP + "/dashboard/job/2514/",
        APP + f"/workflow/{SHORT}/job/2514",
        APP + "/job/2514?workflow=7",
        " app.opus.com/app/job/2514 ",
        "https://operator.opus.com/job/2514/status",
        "https://operator.opus.com/api/v1/case/2514/results",
    ],
)
def test_links_of_jobs_name_their_id(link):
    assert id_in(link, JOB) == "2514"


@pytest.mark.parametrize(
    ("link", "kind", "told"),
    [
        (APP + "/workflow/", WORKFLOW, "is a link that names no workflow (/app/workflow)"),
        (APP + "/workflow/new", WORKFLOW, "is a link that names no workflow (/app/workflow/new)"),
        (APP + "/workflow/share/", WORKFLOW, "names no workflow (/app/workflow/share)"),
        (APP + "/workflows?id=12", WORKFLOW, "names no workflow (/app/workflows)"),
        (APP, WORKFLOW, "names no workflow (/app)"),
        ("app.opus.com", WORKFLOW, "names no workflow (/)"),
        ("https://", WORKFLOW, "names no workflow (/)"),
        ("https://[app/workflow/w1", WORKFLOW, "names no workflow"),
        (APP + "/workflow/a%20b1", WORKFLOW, "names no workflow (/app/workflow/a b1)"),
        (APP + "/job/2514", WORKFLOW, "is the link of a job (/app/job/2514)"),
        (APP + f"/workflow/{SHORT}", JOB, f"is the link of a workflow (/app/workflow/{SHORT})"),
        (APP + "/job/", JOB, "is a link that names no job (/app/job)"),
    ],
)
def test_links_without_an_id_of_the_kind_are_refused(link, kind, told):
    with pytest.raises(InvalidInputs) as caught:
        id_in(link, kind)
    [problem] = caught.value.problems
    assert problem.code is ProblemCode.BAD_ARGUMENT
    assert problem.startswith(f"the {kind} id ")
    assert told in problem
    assert problem.endswith(f"give the {kind}'s own page, like {APP}/{kind}/ID, or the id alone")


def test_pasted_id_refusal_quotes_neither_host_nor_query():
    with pytest.raises(InvalidInputs) as caught:
        id_in("https://user:password@app.example.com/app/workflow/new?token=s3cret#s3cret", WORKFLOW)
    assert not {"password", "s3cret", "example"} & set(str(caught.value).replace("/", " ").split())


def test_pasted_id_refusal_truncates_long_link():
    with pytest.raises(InvalidInputs) as caught:
        id_in("https://" + "a/" * 50_000, WORKFLOW)
    assert len(str(caught.value)) < 400
