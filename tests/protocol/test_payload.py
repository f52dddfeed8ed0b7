"""How names find inputs, and what the payload looks like when everything fits."""

from __future__ import annotations

import pytest

from opus_async.errors import InvalidInputs
from opus_async.opus.protocol.payload import FILE_DEFINITION

URL = "https://files.opus.com/media/private/uploaded/media_0001.pdf"


def problems(caught):
    return caught.value.problems


@pytest.mark.parametrize(
    "name", ["workflow_input_1", "Invoice No", "invoice no", " INVOICE NO ", "\tinvoice No"]
)
def test_trap_21_bind_finds_input_by_variable_or_display_name(bound, field, name):
    bound_inputs = bound([field(name="Invoice No", variable="workflow_input_1")], {name: "x"})
    assert bound_inputs.payload([]) == {
        "workflow_input_1": {"value": "x", "type": "str", "displayName": "Invoice No"}
    }


def test_trap_21_bind_prefers_variable_name_to_display_name(bound, field):
    fields = [field(name="b", variable="a"), field(name="other", variable="b", nullable=True)]
    with pytest.raises(InvalidInputs) as caught:
        bound(fields, {"b": "x"})
    assert problems(caught) == ("'b' (a) is missing",)


def test_trap_21_bind_prefers_exact_display_name_to_one_in_another_case(bound, field):
    fields = [field(name="Doc", variable="a"), field(name="doc", variable="b")]
    payload = bound(fields, {"Doc": "1", "doc": "2"}).payload([])
    assert {name: variable["value"] for name, variable in payload.items()} == {"a": "1", "b": "2"}


@pytest.mark.parametrize("name", ["Doc", "DOC"])
def test_trap_21_bind_refuses_display_name_of_two_inputs_as_ambiguous(bound, field, name):
    fields = [field(name="Doc", variable="var_a"), field(name="Doc", variable="var_b")]
    with pytest.raises(InvalidInputs) as caught:
        bound(fields, {name: "x"})
    (problem,) = problems(caught)
    assert "'var_a'" in problem
    assert "'var_b'" in problem


def test_trap_21_bind_refuses_name_that_matches_two_inputs_only_without_case(bound, field):
    fields = [field(name="Doc", variable="a"), field(name="doc", variable="b")]
    with pytest.raises(InvalidInputs, match="display name of 2 inputs"):
        bound(fields, {"DOC": "x"})


def test_bind_finds_inputs_with_equal_display_names_by_variable(bound, field):
    fields = [field(name="Doc", variable="a"), field(name="Doc", variable="b")]
    assert list(bound(fields, {"b": "2", "a": "1"}).payload([])) == ["a", "b"]


def test_bind_refuses_input_given_under_two_names(bound, field):
    with pytest.raises(InvalidInputs) as caught:
        bound([field(name="Doc", variable="a")], {"a": "1", "doc": "2"})
    assert problems(caught) == ("'Doc' (a) is given twice, as 'a' and as 'doc'",)


def test_bind_accepts_input_given_twice_if_once_is_none(bound, field):
    assert bound([field(name="Doc", variable="a")], {"a": None, "doc": "2"}).payload([])["a"]["value"] == "2"


@pytest.mark.parametrize(
    ("name", "offer"),
    [
        ("Invoce", "did you mean 'Invoice'?"),
        ("TRESHOLD", "did you mean 'Threshold'?"),
        ("zzz", "it has 'Invoice'"),
    ],
)
def test_trap_25_bind_suggests_names_for_unknown_input(bound, field, name, offer):
    fields = [
        field(name="Invoice", variable="v1", nullable=True),
        field(name="Threshold", variable="v2", nullable=True),
    ]
    with pytest.raises(InvalidInputs) as caught:
        bound(fields, {name: None})
    (problem,) = problems(caught)
    assert f"'{name}'" in problem
    assert offer in problem


def test_trap_25_bind_says_if_workflow_takes_no_inputs(bound):
    with pytest.raises(InvalidInputs, match="takes none"):
        bound([], {"x": 1})
    assert bound([], {}).payload([]) == {}


def test_bind_refuses_input_name_that_is_no_text(bound):
    with pytest.raises(InvalidInputs, match="named by a text"):
        bound([], {1: "x"})


@pytest.mark.parametrize("inputs", [None, [("a", 1)], "a=1"])
def test_bind_refuses_inputs_that_are_no_mapping(bound, inputs):
    with pytest.raises(InvalidInputs, match="mapping"):
        bound([], inputs)


def test_trap_25_bind_lists_all_missing_inputs_and_omits_nullable_ones(bound, field):
    fields = [
        field(name="One", variable="a"),
        field(name="Two", variable="b", nullable=True),
        field(name="Three", variable="c"),
        field(name="Four", variable="d"),
        field(name="Five", variable="e", nullable=True),
    ]
    with pytest.raises(InvalidInputs) as caught:
        bound(fields, {"Three": None, "Four": "x"})
    assert problems(caught) == ("'One' (a) is missing", "'Three' (c) is missing")
    payload = bound(fields, {"One": 1, "Three": 3, "Four": 4, "Five": None}).payload([])
    assert list(payload) == ["a", "c", "d"]


def test_bind_names_missing_input_without_display_name_once(bound, field):
    with pytest.raises(InvalidInputs) as caught:
        bound([field(name="city_list", variable="city_list")], {})
    assert problems(caught) == ("'city_list' is missing",)


def test_bind_reports_every_problem_at_once(bound, field):
    fields = [
        field("float", "Threshold", "t"),
        field("date", "Due", "d"),
        field("file", "Doc", "f", allowed_file_types=("PDF",)),
        field("str", "Missing", "m"),
    ]
    with pytest.raises(InvalidInputs) as caught:
        bound(fields, {"Threshold": True, "Due": "2025-13-40", "Doc": "a.png", "Nope": 1})
    assert len(problems(caught)) == 5
    for name in ("Nope", "Threshold", "Due", "Doc", "Missing"):
        assert any(f"'{name}'" in problem for problem in problems(caught))
        assert name in str(caught.value)


def test_trap_26_payload_always_has_display_names(bound, field):
    payload = bound(
        [field(name="Verdict", variable="a"), field(name="b", variable="b")], {"a": "x", "b": "y"}
    )
    assert {name: sent["displayName"] for name, sent in payload.payload([]).items()} == {
        "a": "Verdict",
        "b": "b",
    }


def test_payload_sends_type_as_the_schema_spells_it(bound, field):
    payload = bound([field("int", schema_type="integer")], {"v": "5"}).payload([])
    assert payload["v"] == {"value": 5, "type": "integer", "displayName": "Value"}


def test_payload_keeps_order_of_schema(bound, field):
    fields = [field(name=name, variable=name) for name in "abc"]
    assert list(bound(fields, {"c": 1, "a": 2, "b": 3}).payload([])) == ["a", "b", "c"]


OWN = {"id": "doc", "variable_name": "doc", "allowed_types": [{"type": "file"}]}


@pytest.mark.parametrize(("own", "sent"), [(None, dict(FILE_DEFINITION)), (OWN, OWN)])
def test_trap_23_payload_of_file_array_has_type_definition_in_camel_case(bound, field, own, sent):
    target = field("array", item_type="file", type_definition=own)
    assert bound([target], {"Value": ["a.pdf", "b.pdf"]}).payload(["u1", "u2"]) == {
        "v": {"value": ["u1", "u2"], "type": "array", "displayName": "Value", "typeDefinition": sent}
    }


def test_trap_23_payload_of_array_files_has_no_type_definition(bound, field):
    assert bound([field("array_files")], {"Value": ["a.pdf"]}).payload(["u1"]) == {
        "v": {"value": ["u1"], "type": "array_files", "displayName": "Value"}
    }


def test_payload_sends_type_definition_of_schema_back(bound, field):
    own = {"id": "str", "allowed_types": [{"type": "str"}]}
    payload = bound([field("array", item_type="str", type_definition=own)], {"v": ["a"]}).payload([])
    assert payload["v"]["typeDefinition"] == own


@pytest.mark.parametrize("nullable", [True, False])
def test_trap_24_payload_has_empty_list_as_value(bound, field, nullable):
    assert bound([field("array", nullable=nullable)], {"v": []}).payload([])["v"]["value"] == []


@pytest.mark.parametrize("kind", ["array", "array_files"])
@pytest.mark.parametrize("empty", [[], ()])
def test_trap_24_bind_takes_empty_file_list_as_no_value(bound, field, kind, empty):
    with pytest.raises(InvalidInputs, match="at least one file"):
        bound([field(kind, item_type="file")], {"v": empty})
    assert bound([field(kind, item_type="file", nullable=True)], {"v": empty}).payload([]) == {}


def test_payload_puts_uploaded_urls_at_their_inputs(bound, field):
    fields = [
        field("array_files", "Docs", "docs"),
        field("str", "Text", "text"),
        field("file", "Doc", "doc"),
        field("file", "Old", "old"),
    ]
    inputs = {"Doc": "c.pdf", "Docs": ["a.pdf", URL, "b.pdf"], "Text": "t", "Old": URL}
    found = bound(fields, inputs)
    assert [file.filename for file in found.files] == ["a.pdf", "b.pdf", "c.pdf"]
    assert [file.field.variable_name for file in found.files] == ["docs", "docs", "doc"]
    payload = found.payload(["ua", "ub", "uc"])
    assert payload["docs"]["value"] == ["ua", URL, "ub"]
    assert payload["doc"]["value"] == "uc"
    assert payload["old"]["value"] == URL


@pytest.mark.parametrize("urls", [[], ["a", "b"]])
def test_payload_needs_one_url_for_every_file(bound, field, urls):
    with pytest.raises(ValueError, match="1 files need as many URLs"):
        bound([field("file")], {"v": "a.pdf"}).payload(urls)


def test_payload_can_be_built_again_with_other_urls(bound, field):
    found = bound([field("array_files")], {"v": ["a.pdf"]})
    assert found.payload(["one"])["v"]["value"] == ["one"]
    assert found.payload(["two"])["v"]["value"] == ["two"]


def test_bound_inputs_repr_hides_values(bound, field):
    found = bound(
        [field("str", "Text", "a"), field("file", "Doc", "b")], {"a": "secret", "b": ("x.pdf", b"secret")}
    )
    assert "secret" not in repr(found)
    assert "secret" not in repr(found.files)
