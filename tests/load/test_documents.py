"""Documents that are made: as large as asked for, no two the same, and what their ending says."""

from __future__ import annotations

import json
import random
import statistics
from xml.etree import ElementTree as ET

import pytest

from opus_async.errors import LoadRefused
from opus_async.load.documents import Documents
from opus_async.load.sizes import Sizes
from opus_async.models import InputField, Workflow

MOST = 10_000_000


def workflow(*types, kind="file"):
    field = InputField(variable_name="v1", display_name="Document", type=kind, allowed_file_types=types)
    return Workflow(workflow_id="w", inputs={"v1": field})


def documents(*types, size="20KB", seed=1, kind="file", most=MOST):
    return Documents(workflow(*types, kind=kind), Sizes.parse(size), seed=seed, most=most)


@pytest.mark.parametrize("kind", ["PDF", "TXT", "CSV", "JSON", "HTML", "XML"])
@pytest.mark.parametrize("size", ["1KB", "200KB", "3MB"])
def test_document_is_as_large_as_asked_for(kind, size):
    name, content = documents(kind, size=size).inputs(0)["v1"]
    assert name == f"document-0.{kind.lower()}"
    assert len(content) == pytest.approx(Sizes.parse(size).low, abs=2)


def test_documents_are_all_different_and_the_same_for_the_same_seed():
    made = [documents().inputs(index)["v1"][1] for index in range(20)]
    assert len(set(made)) == 20
    assert documents().inputs(7)["v1"][1] == made[7]
    assert documents(seed=2).inputs(7)["v1"][1] != made[7]


def test_pdf_has_its_objects_where_its_table_says():
    content = documents("PDF").inputs(3)["v1"][1]
    start = int(content.rpartition(b"startxref\n")[2].split()[0])
    lines = content[start:].splitlines()
    assert lines[0] == b"xref"
    for number, line in enumerate(lines[3:8], start=1):
        place = int(line[:10])
        assert content[place:].startswith(b"%d 0 obj" % number)


def test_json_and_xml_documents_can_be_read():
    assert json.loads(documents("JSON").inputs(0)["v1"][1])["id"] == "1-0-v1"
    ET.fromstring(documents("XML").inputs(0)["v1"][1])


def test_input_of_a_list_gets_a_list_of_one():
    assert [name for name, _ in documents(kind="array_files").inputs(0)["v1"]] == ["document-0.pdf"]


def test_document_is_no_larger_than_may_be_sent():
    assert len(documents("TXT", size="3MB", most=1000).inputs(0)["v1"][1]) <= 1000


def test_workflow_without_files_is_refused():
    with pytest.raises(LoadRefused, match="no input that is a file"):
        documents(kind="str")


def test_input_that_takes_none_of_the_types_that_can_be_made_is_refused():
    with pytest.raises(LoadRefused, match="real files"):
        documents("DOCX", "PNG")


def test_lognormal_sizes_have_their_median():
    chance = random.Random(1)
    sizes = [Sizes.parse("lognormal:200KB").draw(chance) for _ in range(4000)]
    assert statistics.median(sizes) == pytest.approx(200_000, rel=0.05)
    assert max(sizes) > 500_000


@pytest.mark.parametrize(
    ("text", "low", "high"), [("200KB", 200_000, 200_000), ("10k-2MB", 10_000, 2_000_000), ("5", 5, 5)]
)
def test_sizes_are_read(text, low, high):
    sizes = Sizes.parse(text)
    assert (sizes.low, sizes.high) == (low, high)


@pytest.mark.parametrize("text", ["", "big", "2MB-1MB", "lognormal:0", "lognormal:x", "-5KB"])
def test_sizes_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match=r"no size|backwards"):
        Sizes.parse(text)
