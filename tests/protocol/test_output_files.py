"""Which outputs of a job are files of the platform."""

from __future__ import annotations

import pytest

from opus_async.opus.protocol.output_files import file_urls

FILE = "https://files.opus.com/media/private/generated/output_1.pdf"
LINK = "https://example.com/page"


@pytest.mark.parametrize(
    ("value", "kind", "urls"),
    [
        (FILE, "file", [FILE]),
        (LINK, "file", [LINK]),
        (LINK, "FILE", [LINK]),
        (LINK, "binary", [LINK]),
        ([FILE, LINK], "list", None),
        ([FILE, LINK], "array_files", [FILE, LINK]),
        ([FILE, FILE], "array", [FILE, FILE]),
        (f'["{FILE}"]', "array", [FILE]),
        ([FILE, LINK], "array", None),
        ([FILE, 3], "array", None),
        ([], "array", None),
        (FILE, None, [FILE]),
        ([FILE], None, [FILE]),
        (LINK, None, None),
        (FILE, "str", None),
        (FILE, "json_string", None),
        ("", "file", None),
        (None, "file", None),
        ("https://[", "file", None),
        ("ftp://files.opus.com/a", "file", None),
        ({"url": FILE}, "object", None),
    ],
)
def test_file_urls_tells_file_outputs_from_others(value, kind, urls):
    entry = value if kind is None else {"value": value, "type": kind, "displayName": "Report"}
    name = "workflow_output_1" if kind is None else "Report"
    found = file_urls({"jobResultsPayloadSchema": {"workflow_output_1": entry}})
    assert found == ({} if urls is None else {name: urls})


def test_file_urls_makes_equal_display_names_unique():
    entries = {name: {"value": FILE, "type": "file", "displayName": "Report"} for name in ("one", "two")}
    assert file_urls({"results": entries}) == {"Report": [FILE], "Report (two)": [FILE]}


@pytest.mark.parametrize("results", [None, [], {}, [{"a": 1}], {"results": None}])
def test_file_urls_is_empty_without_outputs(results):
    assert file_urls(results) == {}


def test_file_urls_finds_platform_urls_in_older_results_format():
    results = {
        "jobExecutionId": "1",
        "status": "COMPLETED",
        "results": {"outputFiles": [FILE], "summary": LINK},
    }
    assert file_urls(results) == {"outputFiles": [FILE]}


def test_file_urls_finds_platform_urls_in_bare_mapping_of_outputs():
    assert file_urls({"Report": FILE, "Pages": [FILE, FILE], "Link": LINK, "Score": 3}) == {
        "Report": [FILE],
        "Pages": [FILE, FILE],
    }
