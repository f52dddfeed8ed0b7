"""Pages in both forms: read as sent, with whatever a server leaves out, and left when they end."""

from __future__ import annotations

import json
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from operativus_corpus import RUN_PAGE, SOURCE_RUN_PAGE, SOURCE_WORKFLOW_PAGE, WORKFLOW_PAGE

from opus_async.errors import NotFound, ProtocolError
from opus_async.operativus.protocol.pages import read_page
from opus_async.operativus.protocol.readers import read_runs, read_workflows
from opus_async.wire.messages import ApiResponse

UNHURRIED = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])


def read(answer, body):
    return read_page(answer(body), lambda row: row if isinstance(row, int) else None)


@pytest.mark.parametrize("body", [WORKFLOW_PAGE, SOURCE_WORKFLOW_PAGE])
def test_operativus_trap_1_page_of_workflows_is_read_in_both_forms(answer, body):
    page = read_workflows(answer(body))
    assert [each.id for each in page.items] == ["wf_abc123"]
    assert (page.number, page.total, page.total_pages, page.entries) == (0, 1, 1, 1)
    assert page.is_last(0)


@pytest.mark.parametrize("body", [RUN_PAGE, SOURCE_RUN_PAGE])
def test_operativus_trap_1_page_of_runs_is_read_in_both_forms(answer, body):
    page = read_runs(answer(body))
    assert [each.id for each in page.items] == ["run_7f3a9c12"]
    assert (page.number, page.total, page.total_pages, page.entries) == (0, 1, 1, 1)


@pytest.mark.parametrize("form", ["flat", "nested"])
def test_operativus_trap_1_size_of_a_page_is_what_the_server_made_of_it(answer, form):
    counts = {"size": 200, "number": 0, "totalElements": 450, "totalPages": 3}
    body = {"content": list(range(200)), **(counts if form == "flat" else {"page": counts})}
    page = read(answer, body)
    assert (page.size, page.entries, page.total, page.total_pages) == (200, 200, 450, 3)
    assert [page.is_last(0), page.is_last(1), page.is_last(2), page.is_last(3)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # what is missing or cannot be true is None
        ({"content": [1]}, (None, None, None, None)),
        ({"content": [1], "page": None, "number": 3, "size": 20}, (3, 20, None, None)),
        ({"content": [1], "page": {}, "number": 3}, (None, None, None, None)),
        ({"content": [1], "page": 5}, (None, None, None, None)),
        ({"content": [1], "number": -1, "size": 0, "totalElements": 1.5, "totalPages": "2"}, (None,) * 4),
        ({"content": [1], "number": True, "size": 1e300, "totalElements": 10**30}, (None,) * 4),
        ({"content": [1], "number": 1.0, "size": 20.0, "totalElements": 30.0}, (1, 20, 30, None)),
        # rows on a page that there should not be
        ({"content": [1], "number": 0, "totalPages": 0, "totalElements": 0}, (0, None, 0, None)),
        ({"content": [1], "number": 4, "totalPages": 3}, (4, None, None, None)),
        ({"content": [], "number": 4, "totalPages": 3}, (4, None, None, 3)),
    ],
)
def test_page_without_sense_in_its_counts_is_read_all_the_same(answer, body, expected):
    page = read(answer, body)
    assert (page.number, page.size, page.total, page.total_pages) == expected


@pytest.mark.parametrize(
    ("body", "asked", "last"),
    [
        ({"content": []}, 0, True),
        ({"content": [], "number": 0, "totalPages": 9}, 0, True),
        ({"content": [1]}, 0, False),  # nothing says so: the next one will be empty
        ({"content": [1], "last": True}, 0, True),
        ({"content": [1], "last": "true"}, 0, False),
        ({"content": [1], "page": {"last": True}}, 0, True),
        ({"content": [1], "totalPages": 3}, 1, False),
        ({"content": [1], "totalPages": 3}, 2, True),
        ({"content": [1], "number": 2, "totalPages": 3}, 2, True),
        # a server that counts from 1 gives page 0 to 0 and to 1
        ({"content": [1], "number": 0, "totalPages": 2}, 1, False),
        ({"content": [1], "number": 1, "totalPages": 2}, 2, True),
        # a server that gives the same page whatever is asked for
        ({"content": [1], "number": 0}, 1, False),
        ({"content": [1], "number": 0}, 2, True),
        ({"content": [1], "number": 0, "totalPages": 0}, 0, False),
    ],
)
def test_page_is_last_if_it_says_so_or_is_empty(answer, body, asked, last):
    assert read(answer, body).is_last(asked) is last


def test_page_leaves_out_rows_that_are_none_and_counts_them(answer):
    page = read(answer, {"content": [1, "x", 2, None], "totalPages": 1})
    assert (page.items, page.entries) == ((1, 2), 4)
    odd = read(answer, {"content": ["x"], "number": 0, "totalPages": 2})
    assert (odd.items, odd.is_last(0)) == ((), False)


def test_list_that_is_not_paged_is_one_page(answer):
    page = read(answer, [1, 2])
    assert (page.items, page.number, page.is_last(0)) == ((1, 2), 0, True)


def test_page_without_content_is_empty_if_there_are_none(answer):
    assert read(answer, {"page": {"totalElements": 0}}).items == ()


@pytest.mark.parametrize(
    "body", [{}, {"content": None}, {"content": {}}, {"content": 5}, {"totalElements": 3}, "x", 7, None]
)
def test_page_that_is_none_is_refused(answer, body):
    with pytest.raises(ProtocolError):
        read(answer, body)


def test_page_of_a_refusal_raises_it(answer):
    with pytest.raises(NotFound):
        read_runs(answer(b"", 404))


# -- many pages --------------------------------------------------------------------------------------------


class Server:
    """A list of runs, newest first, of which others can appear at any time."""

    def __init__(self, rows, *, cut, nested, tells):
        self.rows = [f"run_{number}" for number in range(rows)]
        self.cut, self.nested, self.tells = cut, nested, tells
        self._new = count()

    def start(self, runs):
        self.rows = [*(f"new_{next(self._new)}" for _ in range(runs)), *self.rows]

    def page(self, number, size):
        size = min(size, self.cut)
        content = [{"id": row, "workflowId": "w"} for row in self.rows[number * size :][:size]]
        counts = {
            "size": size,
            "number": number,
            "totalElements": len(self.rows),
            "totalPages": -(-len(self.rows) // size),
        }
        counts = {name: counts[name] for name in self.tells}
        return {"content": content, **({"page": counts} if self.nested else counts)}


COUNTS = ("size", "number", "totalElements", "totalPages")
servers = st.builds(
    Server,
    st.integers(0, 60),
    cut=st.integers(1, 20),
    nested=st.booleans(),
    tells=st.sets(st.sampled_from(COUNTS)),
)


def answer_of(body, **more):
    return ApiResponse(status=200, body=body, **more)


def walk(server, size, starts):
    """Every page, as whoever reads them asks for them; the ids in the order in which they were seen."""
    seen, asked = {}, 0
    while True:
        page = read_runs(answer_of(json.dumps(server.page(asked, size)).encode(), workflow_id="w"))
        seen |= dict.fromkeys(run.id for run in page.items)
        if page.is_last(asked):
            return list(seen)
        asked += 1
        server.start(next(starts, 0))
        assert asked < 300


@UNHURRIED
@given(server=servers, size=st.integers(1, 1000))
def test_pages_of_any_server_give_every_row_once(server, size):
    assert walk(server, size, iter(())) == server.rows


@UNHURRIED
@given(server=servers, size=st.integers(1, 1000), starts=st.lists(st.integers(0, 9), max_size=40))
def test_pages_give_every_row_that_was_there_at_first_though_others_appear(server, size, starts):
    there = list(server.rows)
    seen = walk(server, size, iter(starts))
    assert [row for row in seen if row in set(there)] == there
