"""Every shape of a workflow's schema is the same workflow."""

from __future__ import annotations

import pytest

from opus_async.errors import NotFound, OpusError, ProtocolError
from opus_async.input_problems import ProblemCode
from opus_async.models import InputField
from opus_async.opus.protocol.v0 import V0
from opus_async.opus.protocol.v1 import V1
from opus_async.simulator.workflows import VALUE_TYPES

FLAT = {
    "workflowId": "A1b2C3d4E5f6G7h8",
    "name": "Invoice check",
    "description": "Checks invoices",
    "industry": None,
    "active": True,
    "jobPayloadSchema": {
        "workflow_input_abc123def": {
            "id": "abc123def",
            "variable_name": "workflow_input_abc123def",
            "display_name": "Invoice",
            "type": "file",
            "is_nullable": False,
            "tags": [{"variable_name": "allowed_file_types", "value": ["PDF", "JPEG"]}],
        },
        "city_list": {
            "variable_name": "city_list",
            "display_name": "Cities",
            "type": "array",
            "is_nullable": True,
            "tags": [],
        },
    },
    "jobResultsPayloadSchema": {"workflow_output_1": {"display_name": "Verdict", "type": "str"}},
}
GRAPH = {
    "workflow_id": "00000000-0000-4000-8000-000000000001",
    "name": "Invoice check",
    "description": "Checks invoices",
    "active_status": "active",
    "workflow_input_node_id": "n1",
    "workflow_output_node_id": "n9",
    "nodes": {
        "n1": {
            "input_schema": {
                "schema": {
                    "workflow_input_abc123def": {
                        "variable_name": "workflow_input_abc123def",
                        "display_name": "Invoice",
                        "allowed_types": [{"type": "file"}],
                        "is_nullable": False,
                        "tags": [{"variable_name": "allowed_file_types", "value": ["PDF", "JPEG"]}],
                    },
                    "city_list": {
                        "variable_name": "city_list",
                        "display_name": "Cities",
                        "allowed_types": [{"type": "array"}],
                        "is_nullable": True,
                    },
                }
            }
        },
        "n9": {
            "input_schema": {
                "schema": {
                    "workflow_output_1": {
                        "variable_name": "workflow_output_1",
                        "display_name": "Verdict",
                        "allowed_types": [{"type": "str"}],
                    }
                }
            }
        },
    },
    "edges": {},
    "parent_adjacency": {},
    "child_adjacency": {},
}
CAMEL = {
    "id": "00000000-0000-4000-8000-000000000001",
    "name": "Invoice check",
    "description": "Checks invoices",
    "workflowInputNodeId": "n1",
    "workflowOutputNodeId": "n9",
    "nodes": {
        "n1": {
            "inputSchema": {
                "schema": {
                    "workflow_input_abc123def": {
                        "variableName": "workflow_input_abc123def",
                        "displayName": "Invoice",
                        "allowedTypes": [{"type": "file"}],
                        "isNullable": False,
                        "tags": [{"variableName": "allowedFileTypes", "value": "pdf, .jpeg"}],
                    },
                    "city_list": {"displayName": "Cities", "allowedTypes": ["array"], "isNullable": True},
                }
            }
        },
        "n9": {"outputSchema": {"schema": [{"variableName": "workflow_output_1", "displayName": "Verdict"}]}},
    },
}
MIXED = {
    "name": "Invoice check",
    "description": "Checks invoices",
    "workflow_input_node_id": "n1",
    "workflowOutputNodeId": "n9",
    "jobPayloadSchema": {},
    "nodes": [
        {"id": "n1", "input_schema": {"schema": CAMEL["nodes"]["n1"]["inputSchema"]["schema"]}},
        "no node",
        {"nodeId": "n9", "input_schema": {"schema": FLAT["jobResultsPayloadSchema"]}},
    ],
}
OUTPUT_SIDE = {
    **GRAPH,
    "nodes": {
        "n1": {"input_schema": {"schema": {}}, "output_schema": GRAPH["nodes"]["n1"]["input_schema"]},
        "n9": GRAPH["nodes"]["n9"],
    },
}
GRAPHS = {"graph": GRAPH, "camel": CAMEL, "mixed": MIXED, "output side": OUTPUT_SIDE}
SHAPES = {"flat": FLAT, **GRAPHS}

INVOICE = InputField(
    variable_name="workflow_input_abc123def",
    display_name="Invoice",
    type="file",
    allowed_file_types=("PDF", "JPEG"),
)
CITIES = InputField(variable_name="city_list", display_name="Cities", type="array", nullable=True)

WRAPPERS = {
    "in workflow": lambda body: {"workflow": body},
    "in data": lambda body: {"data": body},
    "in both": lambda body: {"data": {"workflow": body}},
}


both = pytest.mark.parametrize("dialect", [V0(), V1()], ids=["v0", "v1"])


@both
def test_trap_17_workflow_schema_in_flat_shape_is_read(dialect, answer):
    is_the_invoice_check(dialect.read_workflow(answer(FLAT), "asked-for"), FLAT)


@both
@pytest.mark.parametrize("shape", GRAPHS.values(), ids=GRAPHS)
def test_trap_18_workflow_schema_in_every_graph_shape_gives_the_same_inputs(dialect, answer, shape):
    is_the_invoice_check(dialect.read_workflow(answer(shape), "asked-for"), shape)


@both
@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_trap_19_workflow_schema_inside_wrapper_objects_gives_the_same_inputs(dialect, answer, shape, wrap):
    is_the_invoice_check(dialect.read_workflow(answer(wrap(shape)), "asked-for"), wrap(shape))


def is_the_invoice_check(workflow, body):
    assert list(workflow.inputs.items()) == [("workflow_input_abc123def", INVOICE), ("city_list", CITIES)]
    assert workflow.workflow_id == "asked-for"
    assert workflow.name == "Invoice check"
    assert workflow.description == "Checks invoices"
    assert dict(workflow.outputs) == {"workflow_output_1": "Verdict"}
    (verdict,) = workflow.output_fields.values()
    assert (verdict.variable_name, verdict.display_name, verdict.type) == (
        "workflow_output_1",
        "Verdict",
        "str",
    )
    assert workflow.raw == body


def one_field(v0, answer, entry):
    workflow = v0.read_workflow(answer({"jobPayloadSchema": {"v": entry}}), "w")
    (found,) = workflow.inputs.values()
    return found


FILE_ITEMS = {"id": "file", "variable_name": "file", "allowed_types": [{"type": "file"}]}


@pytest.mark.parametrize(
    "entry",
    [
        {"allowed_types": [{"type": "array", "type_definition": FILE_ITEMS}]},
        {"allowedTypes": [{"type": "array", "typeDefinition": FILE_ITEMS}]},
        {"type": "array", "type_definition": FILE_ITEMS},
        {"type": {"type": "array", "type_definition": FILE_ITEMS}},
        {"type": "array", "allowed_types": [{"type": "array", "type_definition": FILE_ITEMS}]},
    ],
)
def test_workflow_schema_knows_file_array_by_type_definition(v0, answer, entry):
    found = one_field(v0, answer, entry)
    assert (found.type, found.item_type, found.type_definition) == ("array", "file", FILE_ITEMS)
    assert found.takes_files


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "array", "item_type": "file"},
        {"type": "array", "tags": [{"variable_name": "allowed_file_types", "value": ["PDF"]}]},
    ],
)
def test_workflow_schema_knows_file_array_by_item_type_or_tag(v0, answer, entry):
    found = one_field(v0, answer, entry)
    assert found.takes_files
    assert found.type_definition is None


def test_workflow_schema_text_array_takes_no_files(v0, answer):
    found = one_field(v0, answer, {"allowed_types": [{"type": "array", "type_definition": {"type": "str"}}]})
    assert (found.item_type, found.takes_files) == ("str", False)


def test_workflow_schema_reads_type_nested_45_levels_deep(v0, answer):
    entry = {"type": "array"}
    for _ in range(45):
        entry = {"allowed_types": [entry]}
    assert one_field(v0, answer, entry).type == "array"


def test_workflow_schema_type_array_files_takes_files(v0, answer):
    found = one_field(v0, answer, {"type": "array_files"})
    assert (found.type, found.takes_files) == ("array_files", True)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("string", "str"),
        ("text", "str"),
        ("integer", "int"),
        ("number", "float"),
        ("double", "float"),
        ("decimal", "float"),
        ("boolean", "bool"),
        ("binary", "file"),
        ("list", "array"),
        ("dict", "object"),
        ("node", "object"),
        ("String", "str"),
        (" INTEGER ", "int"),
        ("JSON_STRING", "json_string"),
    ],
)
def test_types_of_another_spelling_are_that_type(v0, answer, word, kind):
    for entry in ({"type": word}, {"allowed_types": [{"type": word}]}, {"allowedTypes": [word]}):
        workflow = v0.read_workflow(answer({"jobPayloadSchema": {"v": entry}}), "w")
        [found] = workflow.inputs.values()
        assert (found.type, found.schema_type) == (kind, word.strip())
        assert workflow.warnings == ()


@pytest.mark.parametrize("word", sorted(VALUE_TYPES))
def test_types_as_documented_have_no_other_spelling(v0, answer, word):
    found = one_field(v0, answer, {"type": word})
    assert (found.type, found.schema_type) == (word, None)


@pytest.mark.parametrize(
    ("word", "item"), [("file", "file"), ("binary", "file"), ("string", "str"), ("x", "x")]
)
def test_types_of_items_have_other_spellings_too(v0, answer, word, item):
    definition = {"allowed_types": [{"type": word}]}
    found = one_field(v0, answer, {"allowed_types": [{"type": "list", "type_definition": definition}]})
    assert (found.type, found.item_type, found.takes_files) == ("array", item, item == "file")
    assert found.type_definition == definition


def test_types_we_do_not_know_pass_through_with_a_warning_each(v0, answer):
    schema = {
        "a": {"type": "hologram", "display_name": "View"},
        "b": {"type": "integer"},
        "c": {"type": "Scent"},
    }
    workflow = v0.read_workflow(answer({"jobPayloadSchema": schema}), "w")
    assert [field.type for field in workflow.inputs.values()] == ["hologram", "int", "Scent"]
    assert [(each.code, each.input, each.display_name) for each in workflow.warnings] == [
        (ProblemCode.UNKNOWN_TYPE, "a", "View"),
        (ProblemCode.UNKNOWN_TYPE, "c", "c"),
    ]
    assert workflow.warnings[0] == (
        "'View' (a) has the type 'hologram', which this client does not know: any JSON value is taken for "
        "it, and sent as it is given"
    )
    assert len({each.group for each in workflow.warnings}) == 1


@pytest.mark.parametrize("entry", [{}, {"type": None}, {"type": ""}, {"type": 3}, {"allowed_types": []}])
def test_workflow_schema_input_without_type_is_str(v0, answer, entry):
    assert one_field(v0, answer, entry).type == "str"


@pytest.mark.parametrize("entry", [{"type": "str"}, {"display_name": "  "}, {"display_name": None}])
def test_workflow_schema_input_without_display_name_uses_variable_name(v0, answer, entry):
    found = one_field(v0, answer, entry)
    assert (found.display_name, found.variable_name, found.nullable) == ("v", "v", False)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ([{"variable_name": "allowed_file_types", "value": ["PDF", "JPEG"]}], ("PDF", "JPEG")),
        (
            [{"variable_name": "allowed_file_types", "value": [".pdf", " Docx ", "", 3, None]}],
            ("PDF", "DOCX"),
        ),
        ([{"variable_name": "allowed_file_types", "value": "PDF"}], ("PDF",)),
        ([{"variable_name": "allowed_file_types", "value": None}], ()),
        ([{"variable_name": "colour", "value": ["PDF"]}, "x"], ()),
        ({"allowed_file_types": ["PDF"]}, ()),
        (None, ()),
    ],
)
def test_workflow_schema_tags_give_allowed_file_types(v0, answer, tags, expected):
    assert one_field(v0, answer, {"type": "file", "tags": tags}).allowed_file_types == expected


@pytest.mark.parametrize(
    "place",
    [
        {"workspaceId": "s"},
        {"workspace_id": "s"},
        {"workspace": {"id": "s"}},
        {"workspace": {"id": "s"}, "workspaceId": None},
    ],
)
@pytest.mark.parametrize("outside", [True, False])
def test_workflow_schema_workspace_id_is_found_in_every_place(v0, answer, place, outside):
    schema = {"jobPayloadSchema": {}}
    body = {"data": schema, **place} if outside else {"data": {**schema, **place}}
    assert v0.read_workflow(answer(body), "w").workspace_id == "s"


@pytest.mark.parametrize("body", [{}, {"workspace": "s"}, {"workspace": {}}, {"workspaceId": ""}])
def test_workflow_schema_workspace_id_is_none_if_absent(v0, answer, body):
    assert v0.read_workflow(answer({"jobPayloadSchema": {}, **body}), "w").workspace_id is None


@pytest.mark.parametrize(
    ("place", "version", "version_id"),
    [
        ({"version": 7}, 7, None),
        ({"version": "7"}, 7, None),
        ({"version": 7.0}, 7, None),
        ({"version": "latest"}, None, None),
        ({"version": True}, None, None),
        ({"versionNumber": 7, "workflowVersionId": "x"}, 7, "x"),
        ({"workflow_version_id": "x"}, None, "x"),
        ({"version_id": "x"}, None, "x"),
        ({"versionId": ""}, None, None),
    ],
)
def test_workflow_schema_gives_version_number_and_id(v0, answer, place, version, version_id):
    workflow = v0.read_workflow(answer({"jobPayloadSchema": {}, **place}), "w")
    assert (workflow.version, workflow.version_id) == (version, version_id)


@pytest.mark.parametrize("flat", [{}, [], None])
def test_workflow_schema_can_be_empty_but_not_null(v0, answer, flat):
    body = {"jobPayloadSchema": flat}
    if flat is None:
        with pytest.raises(ProtocolError):
            v0.read_workflow(answer(body), "w")
    else:
        assert not v0.read_workflow(answer(body), "w").inputs


def test_workflow_schema_can_be_a_list(v0, answer):
    body = {"jobPayloadSchema": [{"variable_name": "a", "type": "int"}, {"type": "int"}, "x", None]}
    assert list(v0.read_workflow(answer(body), "w").inputs) == ["a"]


def test_workflow_schema_prefers_variable_name_to_key(v0, answer):
    body = {"jobPayloadSchema": {"abc": {"variable_name": "workflow_input_abc", "type": "str"}}}
    assert list(v0.read_workflow(answer(body), "w").inputs) == ["workflow_input_abc"]


@pytest.mark.parametrize("schema", ["text", 7, True])
def test_workflow_schema_of_wrong_type_gives_no_inputs(v0, answer, schema):
    assert not v0.read_workflow(answer({"jobPayloadSchema": schema}), "w").inputs


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        "x",
        {"data": {}},
        {"nodes": {"n1": {}}},
        {"workflow_input_node_id": "n1"},
        {"workflow_input_node_id": "n1", "nodes": {}},
        {"workflow_input_node_id": "n1", "nodes": []},
        {"workflow_input_node_id": "n1", "nodes": [{"id": "n2"}, {}]},
        {"workflow_input_node_id": "n1", "nodes": {"n1": "x"}},
    ],
)
def test_workflow_schema_absent_from_response_is_a_protocol_error(v0, answer, body):
    with pytest.raises(ProtocolError, match="schema"):
        v0.read_workflow(answer(body), "w")


def test_workflow_schema_input_node_without_schema_gives_no_inputs(v0, answer):
    body = {"workflow_input_node_id": "n1", "nodes": {"n1": {"input_schema": "x"}}}
    assert not v0.read_workflow(answer(body), "w").inputs


@pytest.mark.parametrize("status", [500, 200])
def test_trap_20_workflow_schema_of_retired_endpoint_is_a_not_found_error(v0, answer, status):
    body = {
        "statusCode": 500,
        "message": "V1 workflow details are no longer supported",
        "timestamp": "2026-05-20T10:00:00.000Z",
        "path": "/workflow/A1b2C3d4E5f6G7h8",
    }
    with pytest.raises(NotFound, match="no longer gives the details") as caught:
        v0.read_workflow(answer(body, status), "A1b2C3d4E5f6G7h8")
    assert caught.value.status == 500
    assert isinstance(caught.value, OpusError)
