"""Columns to inputs, cells to values, rows to requests."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from manifests import INVOICES, given, requested, workflow

from opus_async.errors import InvalidInputs, ManifestError
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.binding.globs import Globs

BASE = Path("/in")
TWINS = workflow(given("Amount", variable="net"), given("Amount", variable="gross"), given("Note"))


@pytest.fixture
def invoices() -> Binding:
    return Binding(INVOICES)


# Columns


@pytest.mark.parametrize(
    ("column", "name", "how"),
    [
        ("workflow_input_number", "Number", "variable name"),
        ("Number", "Number", "display name"),
        (" number ", "Number", "display name in another case"),
        ("DUE DATE", "Due date", "display name in another case"),
    ],
)
def test_binding_matches_column_by_variable_or_display_name_in_any_case(invoices, column, name, how):
    bound = invoices.column(column)
    assert bound.input.display_name == name
    assert bound.bound_by == how
    assert bound.problem is bound.warning is None


def test_binding_reserved_word_yields_to_exact_name_and_beats_other_case():
    binding = Binding(workflow(given("title"), given("Key"), given("x", variable="description")))
    assert binding.column("title").input.display_name == "title"
    assert binding.column("description").input.display_name == "x"
    assert binding.column("key").reserved == "key"
    assert binding.column("key").is_key
    assert binding.column("KEY").input.display_name == "Key"
    assert binding.column("Title").input.display_name == "title"


def test_binding_prefers_variable_name_over_display_name():
    binding = Binding(workflow(given("b", variable="a"), given("a", variable="c")))
    assert binding.column("a").input.display_name == "b"


def test_binding_map_renames_ignores_and_reaches_reserved_words():
    binding = Binding(INVOICES, columns={"Nr": "number", "Number": "", "Subject": "title"})
    assert binding.column("Nr").input.display_name == "Number"
    assert binding.column("Number").ignored
    assert requested(binding, {"Nr": "7", "Number": "ignored"}) == {"Number": "7"}
    assert binding.request({"Subject": "A case"}, index=0, key="k", base=BASE).title == "A case"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"columns": {"Nr": "Numbr"}}, "'Numbr'; did you mean 'Number'?"),
        ({"columns": {"Nr": "wholly else"}}, "the workflow takes 'Document', 'Pages'"),
        ({"constants": {"Amont": "1"}}, "'Amont'; did you mean 'Amount'?"),
        ({"constants": {"Amount": "1", "AMOUNT": "2"}}, "fills 'Amount' twice"),
        ({"constants": {"Lines": "1; x"}}, "wants numbers"),
        ({"title": "Invoice {Number"}, "a single '{'"),
        ({"description": "a } b"}, "a single '}'"),
        ({"title": "Invoice {}"}, "nothing between two braces"),
    ],
)
def test_binding_refuses_options_that_fit_nothing(options, told):
    with pytest.raises(ManifestError) as refused:
        Binding(INVOICES, **options)
    assert told in str(refused.value)


def test_binding_refuses_display_name_shared_by_two_inputs():
    with pytest.raises(ManifestError, match="display name of 2 inputs"):
        Binding(TWINS, constants={"Amount": "1"})
    with pytest.raises(ManifestError, match="display name of 2 inputs"):
        Binding(TWINS, columns={"Nr": "Amount"})
    binding = Binding(TWINS)
    bound = binding.column("Amount")
    assert bound.suggestion == "--map Amount=net or --map Amount=gross"
    with pytest.raises(InvalidInputs, match="display name of 2 inputs"):
        binding.request({"Amount": "1"}, index=0, key="k", base=BASE)
    with pytest.raises(ManifestError, match="--map Amount=net"):
        binding.check(["Amount"])
    assert Binding(TWINS, columns={"Amount": "gross"}).column("Amount").input.variable_name == "gross"


def test_binding_refuses_misspelt_column_of_unfilled_input_with_fix(invoices):
    [bound, _] = invoices.table(["Documnet", "Number"])
    assert bound.problem == "column 'Documnet' fills no input, and nothing fills 'Document'"
    assert bound.suggestion == "--map Documnet=Document, or --map Documnet= to leave the column out"
    with pytest.raises(ManifestError, match="--map 'Due dat=Due date'"):
        invoices.check(["Due dat"])


def test_binding_warns_of_column_similar_to_filled_input(invoices):
    bound = invoices.table(["Document", "Documents"])[1]
    assert bound.problem is None
    assert bound.warning == "column 'Documents' fills no input and is left out"
    filled = Binding(INVOICES, constants={"Number": "7"}).table(["Numbers"])[0]
    assert filled.problem is None
    assert filled.warning
    invoices.check(["Document", "Documents", "Remark"])


def test_binding_refuses_two_columns_for_one_input(invoices):
    with pytest.raises(ManifestError) as refused:
        invoices.check(["Number", "number"])
    assert "columns 'Number' and 'number' both fill 'Number': --map Number= or --map number=" in str(
        refused.value
    )
    with pytest.raises(InvalidInputs, match="fills 'Number' again"):
        requested(invoices, {"Number": "1", "number": "2"})


def test_binding_refuses_required_input_that_nothing_fills():
    binding = Binding(workflow(given("Text", nullable=False), given("Number")))
    with pytest.raises(ManifestError) as refused:
        binding.check(["Number"])
    assert "--map Number=Text" not in str(refused.value), "it fills another input"
    assert "required: --set Text=VALUE" in str(refused.value)
    for columns, way in (
        (["Nr"], "--map Nr=Text"),
        (["a", "b"], "--map COLUMN=Text, COLUMN being one of 'a', 'b',"),
    ):
        with pytest.raises(ManifestError) as refused:
            binding.check(columns)
        assert f"{way} or --set Text=VALUE" in str(refused.value)
    binding.check(["Text"])
    Binding(binding.workflow, constants={"Text": "the same"}).check(["Number"])


def test_binding_reports_column_similar_to_required_input_once():
    binding = Binding(workflow(given("Text", nullable=False)))
    assert len([problem for problem in binding.problems(["Txt"]) if problem.is_error]) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"columns": {"Numbr": "Amount"}}, "--map names the column 'Numbr'"),
        ({"key": "Numbr"}, "--key names the column 'Numbr'"),
        ({"title": "Nr. {Numbr}"}, "--title names the column 'Numbr'"),
        ({"description": "Nr. {Numbr}"}, "--description names the column 'Numbr'"),
    ],
)
def test_binding_refuses_options_that_name_missing_column(options, told):
    with pytest.raises(ManifestError) as refused:
        Binding(INVOICES, **options).check(["Number"])
    assert f"{told}, which the manifest does not have: did you mean 'Number'?" in str(refused.value)


def test_binding_key_column_may_also_be_an_input():
    both = Binding(INVOICES, key="Number")
    assert both.column("Number").is_key
    assert both.column("Number").input.display_name == "Number"
    alone = Binding(INVOICES, key="Customer")
    assert alone.table(["Customer"])[0].warning is None
    assert alone.column("Customer").is_key
    assert not alone.column("key").is_key
    assert "--key names 'Customer'" in alone.column("key").warning


def test_binding_refuses_more_than_10000_columns(invoices):
    with pytest.raises(ManifestError, match="more than 10,000 different columns"):
        for number in range(10_001):
            invoices.column(f"c{number}")


# Folders


def test_binding_of_folder_fills_the_only_file_input():
    binding = Binding(workflow(given("Number"), given("Document", "file")), folder=True)
    bound = binding.column("file")
    assert bound.input.display_name == "Document"
    assert bound.bound_by == "the only input that takes files"
    assert requested(binding, {"file": "a.pdf"}) == {"Document": BASE / "a.pdf"}


def test_binding_of_folder_refuses_several_file_inputs_with_fix():
    with pytest.raises(ManifestError) as refused:
        Binding(INVOICES, folder=True).check(["file"])
    assert "several inputs take files: 'Document', 'Pages', 'Scans'" in str(refused.value)
    assert "--map file=Document or --map file=Pages or --map file=Scans" in str(refused.value)
    chosen = Binding(INVOICES, folder=True, columns={"file": "Pages"})
    assert requested(chosen, {"file": "a.pdf"}) == {"Pages": [BASE / "a.pdf"]}


def test_binding_of_folder_ignores_file_input_filled_by_constant():
    two = workflow(given("Document", "file"), given("Policy", "file"))
    binding = Binding(two, folder=True, constants={"Policy": "policy.pdf"})
    assert binding.column("file").input.display_name == "Document"


def test_binding_of_folder_refuses_workflow_without_file_input():
    with pytest.raises(ManifestError, match="no input takes a file"):
        Binding(workflow(given("Number")), folder=True).check(["file"])


def test_binding_of_folder_takes_file_names_literally(tmp_path):
    binding = Binding(INVOICES, folder=True, columns={"file": "Pages"})
    for name in ("a; b.pdf", "[1].pdf", " c.pdf", "*.pdf", "https:\\x.pdf"):
        expanded = binding.expand_globs({"file": name}, tmp_path)
        assert expanded == {"file": [name]}
        assert requested(binding, expanded, tmp_path) == {"Pages": [tmp_path / name]}


# Cells


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        ("Document", "docs/a.pdf", BASE / "docs/a.pdf"),
        ("Document", " docs/a.pdf ", BASE / "docs/a.pdf"),
        ("Document", "/else/a.pdf", Path("/else/a.pdf")),
        ("Document", "../a.pdf", BASE / "../a.pdf"),
        ("Document", "a; b.pdf", BASE / "a; b.pdf"),
        ("Document", "https://files.example.com/a?b=c;d", "https://files.example.com/a?b=c;d"),
        ("Document", 7, 7),
        ("Pages", "a.pdf; b.pdf ;; c.pdf", [BASE / "a.pdf", BASE / "b.pdf", BASE / "c.pdf"]),
        ("Pages", "a.pdf", [BASE / "a.pdf"]),
        ("Pages", '["a; b.pdf", "https://x.example/y"]', [BASE / "a; b.pdf", "https://x.example/y"]),
        ("Pages", ["a; b.pdf"], [BASE / "a; b.pdf"]),
        ("Pages", "[a].pdf", [BASE / "[a].pdf"]),
        ("Scans", "a.pdf; b.pdf", [BASE / "a.pdf", BASE / "b.pdf"]),
        ("Labels", "red; green", ["red", "green"]),
        ("Labels", "red", ["red"]),
        ("Labels", '["red; green"]', '["red; green"]'),
        ("Labels", ["red"], ["red"]),
        ("Lines", "1; 2.5", [1, 2.5]),
        ("Checks", "true; FALSE", [True, False]),
        ("Number", "a; b", "a; b"),
        ("Amount", "0.8", "0.8"),
        ("Client", '{"id": 7}', '{"id": 7}'),
    ],
)
def test_binding_converts_cell_for_input_type(invoices, column, cell, value):
    assert requested(invoices, {column: cell}) == {column: value}


@pytest.mark.parametrize(
    ("column", "cell", "told"),
    [("Lines", "1; two", "'two'"), ("Lines", "1; true", "'true'"), ("Checks", "true; maybe", "'maybe'")],
)
def test_binding_refuses_list_items_of_another_type(invoices, column, cell, told):
    with pytest.raises(InvalidInputs) as refused:
        requested(invoices, {column: cell})
    assert f"column '{column}'" in refused.value.problems[0]
    assert told in refused.value.problems[0]


@pytest.mark.parametrize(
    ("column", "cell", "kept"),
    [
        ("Due date", datetime(2025, 11, 9, tzinfo=UTC), "2025-11-09"),
        ("Due date", date(2025, 11, 9), "2025-11-09"),
        ("Number", datetime(2025, 11, 9, 12, 30, tzinfo=UTC), "2025-11-09T12:30:00+00:00"),
        ("Number", timedelta(hours=1), "1:00:00"),
        ("Number", UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("Amount", Decimal("12345678901234567890.10"), "12345678901234567890.10"),
        ("Amount", Decimal("1E+3"), "1000"),
        ("Amount", 0.8, 0.8),
        ("Client", {"id": [1, {"day": date(2025, 1, 1)}]}, {"id": [1, {"day": "2025-01-01"}]}),
        ("Labels", ("a", "b"), ["a", "b"]),
    ],
)
def test_binding_expand_converts_cells_to_json_without_loss(invoices, column, cell, kept):
    expanded = invoices.expand_globs({column: cell}, BASE)
    assert expanded == {column: kept}
    assert json.loads(json.dumps(expanded)) == expanded


@pytest.mark.parametrize("cell", [float("nan"), Decimal("Infinity"), b"bytes", {"a": object()}])
def test_binding_expand_refuses_non_json_value_only_in_bound_column(invoices, cell):
    with pytest.raises(InvalidInputs, match="column 'Amount' holds"):
        invoices.expand_globs({"Amount": cell}, BASE)
    assert invoices.expand_globs({"Remark": cell, "Number": "7"}, BASE) == {"Number": "7"}


def test_binding_expand_refuses_deeply_nested_cell(invoices):
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(InvalidInputs, match="nested deeper"):
        invoices.expand_globs({"Client": deep}, BASE)


# Patterns


@pytest.fixture
def documents(tmp_path) -> Path:
    for name in (
        "docs/page 1.pdf",
        "docs/page 10.pdf",
        "docs/page 2.pdf",
        "docs/deep/er/x.pdf",
        "docs/y.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "docs/.hidden.pdf").touch()
    (tmp_path / "docs/folder.pdf").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("docs/page*.pdf", ["docs/page 1.pdf", "docs/page 2.pdf", "docs/page 10.pdf"]),
        ("docs/page ?.pdf", ["docs/page 1.pdf", "docs/page 2.pdf"]),
        ("docs/page [2-9].pdf", ["docs/page 2.pdf"]),
        ("docs/*.pdf", ["docs/page 1.pdf", "docs/page 2.pdf", "docs/page 10.pdf"]),
        ("docs/.h*", ["docs/.hidden.pdf"]),
        ("*/*.txt", ["docs/y.txt"]),
        ("docs/**/x.pdf", ["docs/deep/er/x.pdf"]),
        ("docs/page 1*.pdf; docs/y.t*", ["docs/page 1.pdf", "docs/page 10.pdf", "docs/y.txt"]),
        ("https://files.example.com/*", ["https://files.example.com/*"]),
        ("docs/missing.pdf", ["docs/missing.pdf"]),
    ],
)
def test_binding_expand_sorts_pattern_matches_naturally(invoices, documents, pattern, found):
    assert invoices.expand_globs({"Pages": pattern}, documents) == {"Pages": found}


def test_binding_expand_keeps_absolute_patterns_absolute(invoices, documents):
    whole = [str(documents / f"docs/page {number}.pdf") for number in (1, 2)]
    assert invoices.expand_globs({"Pages": f"{documents}/docs/page ?.pdf"}, documents)["Pages"] == whole
    assert invoices.expand_globs({"Pages": f"{documents}/d*/page ?.pdf"}, documents)["Pages"] == whole


def test_binding_expand_needs_one_match_for_single_file_input(invoices, documents):
    assert invoices.expand_globs({"Document": "docs/y*"}, documents) == {"Document": "docs/y.txt"}
    with pytest.raises(InvalidInputs, match=r"'docs/page\*' for one file, and 3 files match"):
        invoices.expand_globs({"Document": "docs/page*"}, documents)


@pytest.mark.parametrize("column", ["Document", "Pages"])
@pytest.mark.parametrize("pattern", ["docs/*.png", "nowhere/*.pdf", "no*/x.pdf", "docs/[z].pdf"])
def test_binding_expand_names_column_and_pattern_without_matches(invoices, documents, column, pattern):
    with pytest.raises(InvalidInputs) as refused:
        invoices.expand_globs({column: pattern}, documents)
    assert (
        f"column '{column}' has the pattern '{pattern}', which matches no file" in refused.value.problems[0]
    )


def test_binding_expand_takes_existing_file_named_like_pattern_literally(invoices, documents):
    (documents / "scan[1].pdf").touch()
    (documents / "scan1.pdf").touch()
    assert invoices.expand_globs({"Document": "scan[1].pdf"}, documents) == {"Document": "scan[1].pdf"}
    assert invoices.expand_globs({"Pages": "scan[1].pdf"}, documents) == {"Pages": ["scan[1].pdf"]}


def test_globs_list_changed_folder_again(tmp_path):
    globs = Globs()
    (tmp_path / "a1.pdf").touch()
    os.utime(tmp_path, (1, 1))  # long ago: the listing is kept
    assert globs.expand("a*.pdf", tmp_path) == ["a1.pdf"]
    (tmp_path / "a2.pdf").touch()
    assert globs.expand("a*.pdf", tmp_path) == ["a1.pdf", "a2.pdf"]
    (tmp_path / "a3.pdf").touch()  # a moment later: that listing was too fresh to be kept
    assert globs.expand("a*.pdf", tmp_path) == ["a1.pdf", "a2.pdf", "a3.pdf"]


def test_binding_expand_is_idempotent(invoices, documents):
    cells = {"Pages": "docs/page*.pdf", "Document": "docs/y*", "Labels": "a; b", "Due date": date(2025, 1, 1)}
    once = invoices.expand_globs(cells, documents)
    assert invoices.expand_globs(once, documents) == once


def test_binding_files_follow_column_order_then_constants(documents, monkeypatch):
    monkeypatch.chdir(documents)
    binding = Binding(INVOICES, constants={"Scans": "docs/y.txt"})
    cells = binding.expand_globs(
        {"Pages": "docs/page 1*; https://x.example/y", "Document": "b.pdf"}, documents
    )
    found = ["docs/page 1.pdf", "docs/page 10.pdf", "b.pdf", "docs/y.txt"]
    assert binding.files.of_row(cells, documents) == [documents / name for name in found]
    assert binding.files.of_row({**cells, "Scans": ["c.pdf"]}, documents)[-1] == documents / "c.pdf"


# Constants


def test_binding_prefers_cell_over_constant_unless_missing():
    binding = Binding(INVOICES, constants={"Amount": "0.5", "Labels": "a; b"})
    assert requested(binding, {"Amount": "0.8"}) == {"Amount": "0.8", "Labels": ["a", "b"]}
    assert requested(binding, {}) == {"Amount": "0.5", "Labels": ["a", "b"]}


def test_binding_constant_files_are_relative_to_current_folder_and_rebindable(
    documents, monkeypatch, tmp_path_factory
):
    monkeypatch.chdir(documents)
    first = Binding(
        INVOICES, constants={"Pages": "docs/page ?.pdf", "Document": "docs/y.txt", "Amount": Decimal(1)}
    )
    kept = json.loads(json.dumps(dict(first.constants)))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    again = Binding(INVOICES, constants=kept)
    assert requested(again, {}) == requested(first, {})
    assert requested(again, {})["Document"] == documents / "docs/y.txt"


def test_binding_refuses_constant_pattern_without_matches(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ManifestError, match="--set 'Pages' has the pattern"):
        Binding(INVOICES, constants={"Pages": "*.pdf"})


# Titles and the rest of a request


@pytest.mark.parametrize(
    ("template", "title"),
    [
        ("Invoice {Number} ({file})", "Invoice 17 (docs/a.pdf)"),
        ("{NUMBER}/{key}/{index}/{row}", "17/k-1/4/5"),
        ("{{{Number}}}", "{17}"),
        ("{a.b!r:>9}", "strange"),
        ("{Missing}x", "x"),
        ("{long}", "one two"),
        ("{Amount} {Pages}", "17 a.pdf; b.pdf"),
        ("{Missing}", None),
    ],
)
def test_binding_title_template_formats_cells_key_and_index(template, title):
    binding = Binding(INVOICES, title=template, description=template)
    cells = {
        "Number": "17",
        "file": "docs/a.pdf",
        "a.b!r:>9": "strange",
        "long": "one\n  two",
        "Amount": 17.0,
    }
    request = binding.request({**cells, "Pages": ["a.pdf", "b.pdf"]}, index=4, key="k-1", base=BASE)
    assert request.title == request.description == title


@pytest.mark.parametrize(
    "template", ["{Number.__class__}", "{Number[0]}", "{Number!r}", "{Number:>9}", "{0}"]
)
def test_binding_title_template_looks_up_columns_only(template):
    binding = Binding(INVOICES, title=template)
    with pytest.raises(ManifestError, match="--title names the column"):
        binding.check(["Number"])
    assert binding.request({"Number": "7"}, index=0, key="k", base=BASE).title is None


def test_binding_title_template_may_use_key_index_and_row():
    Binding(INVOICES, title="{key} {index} {row} {NUMBER}").check(["Number"])


def test_binding_title_cell_wins_over_template():
    binding = Binding(INVOICES, title="Invoice {Number}")
    assert binding.request({"title": "Mine {Number}"}, index=0, key="k", base=BASE).title == "Mine {Number}"
    assert binding.request({"title": " ", "Number": 7}, index=0, key="k", base=BASE).title == "Invoice 7"


def test_binding_title_is_encodable():
    title = (
        Binding(INVOICES, title="{file}").request({"file": "\udcff.pdf"}, index=0, key="k", base=BASE).title
    )
    assert title == "?.pdf"
    assert title.encode()


def test_binding_request_carries_key_timeout_and_version():
    binding = Binding(INVOICES, timeout=60, version_number=3, version_id="v")
    request = binding.request({"Number": "7", "key": "in the row"}, index=0, key="given", base=BASE)
    assert (request.key, request.timeout, request.version_number, request.version_id) == ("given", 60, 3, "v")
    assert request.title is request.description is None


def test_binding_errors_hide_url_query():
    with pytest.raises(ManifestError) as refused:
        Binding(INVOICES, constants={"https://x.example/y?X-Amz-Signature=abc": "1"})
    assert "abc" not in str(refused.value)


def test_manifest_error_tells_its_summary_without_the_problems(invoices):
    with pytest.raises(ManifestError) as refused:
        invoices.check(["Due dat"])
    assert refused.value.summary == "The manifest does not fit the workflow; nothing was sent:"
    assert refused.value.message == "\n  - ".join((refused.value.summary, *refused.value.problems))


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("2025-11-09T10:30", "2025-11-09"),
        (" 2025-11-09 00:00:00 ", "2025-11-09"),
        ("2025-11-09T23:59:59.123456+01:00", "2025-11-09"),
        ("2025-11-09T00:00:00Z", "2025-11-09"),
        (datetime(2025, 11, 9, 23, 59, tzinfo=UTC), "2025-11-09"),
        ("2025-11-09", "2025-11-09"),
        ("2025-11-09T", "2025-11-09T"),
        ("9.11.2025 10:30", "9.11.2025 10:30"),
    ],
)
def test_binding_date_and_time_is_its_day_however_it_is_written(written, sent, tmp_path):
    binding = Binding(INVOICES)
    assert binding.expand_globs({"Due date": written}, tmp_path) == {"Due date": sent}
    text = binding.expand_globs({"Number": written}, tmp_path)["Number"]
    assert text == (written if isinstance(written, str) else written.isoformat())
