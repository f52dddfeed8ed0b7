"""Workflow details in every shape, the paths of the V2 graph, and workflows that are added while it runs."""

from __future__ import annotations

import pytest

from opus_async.simulator import WorkflowFileError
from opus_async.simulator.builtin import BUILTIN
from opus_async.simulator.schemas import Shape, describe
from opus_async.simulator.workflows import InputVariable, OutputVariable, Workflow

ALL_TYPES = "B9uGJfZ3CFwOdMKH"
MODERN = "M0dernTypesWrkfl"
UUID = "00000000-0000-4000-8000-000000000001"
OTHER_UUID = "00000000-0000-4000-8000-000000000002"
FILES = {"id": "file", "variable_name": "file", "allowed_types": [{"type": "file"}]}
OBJECT = "/reference-workflow/v2/workflow-object"

SMALL = Workflow(
    UUID,
    "Invoice check",
    "Checks invoices.",
    (
        InputVariable("workflow_input_abc123def", "Invoices", "array", file_types=("PDF",), of_files=True),
        InputVariable("variable_name", "City", "str", nullable=True),
    ),
    (OutputVariable("workflow_output_abc123def", "Verdict", "str", "digest"),),
    nodes=("Input", "Agent", "Output"),
    version=7,
)
"""One of its variables is called like a word of the graph: names chosen by people are not translated."""


def traited(*names):
    return Shape.of(frozenset(names), "flat")


def described(*names):
    return describe(SMALL, 7, traited(*names))


def test_trait_schema_graph_gives_the_graph_in_snake_case():
    graph = described("schema_graph")
    assert graph == {
        "workflow_id": UUID,
        "name": "Invoice check",
        "description": "Checks invoices.",
        "version": 7,
        "workflow_version_id": SMALL.version_id(7),
        "active_status": "active",
        "workspace_id": described()["workspaceId"],
        "workflow_input_node_id": "n1",
        "workflow_output_node_id": "n3",
        "starting_nodes_ids": ["n1"],
        "ending_nodes_ids": ["n3"],
        "nodes": {
            "n1": {
                "id": "n1",
                "name": "Input",
                "input_schema": {
                    "schema": {
                        "workflow_input_abc123def": {
                            "variable_name": "workflow_input_abc123def",
                            "display_name": "Invoices",
                            "allowed_types": [{"type": "array", "type_definition": FILES}],
                            "is_nullable": False,
                            "tags": [{"variable_name": "allowed_file_types", "value": ["PDF"]}],
                        },
                        "variable_name": {
                            "variable_name": "variable_name",
                            "display_name": "City",
                            "allowed_types": [{"type": "str"}],
                            "is_nullable": True,
                            "tags": [],
                        },
                    }
                },
            },
            "n2": {"id": "n2", "name": "Agent", "input_schema": {"schema": {}}},
            "n3": {
                "id": "n3",
                "name": "Output",
                "input_schema": {
                    "schema": {
                        "workflow_output_abc123def": {
                            "variable_name": "workflow_output_abc123def",
                            "display_name": "Verdict",
                            "allowed_types": [{"type": "str"}],
                            "is_nullable": True,
                            "tags": [],
                        }
                    }
                },
            },
        },
        "edges": {
            "e1": {"id": "e1", "from_node_id": "n1", "to_node_id": "n2"},
            "e2": {"id": "e2", "from_node_id": "n2", "to_node_id": "n3"},
        },
        "parent_adjacency": {"n2": ["n1"], "n3": ["n2"]},
        "child_adjacency": {"n1": ["n2"], "n2": ["n3"]},
    }


def test_simulator_workflow_schema_of_v1_is_a_graph_in_camel_case():
    graph = describe(SMALL, 7, Shape.of(frozenset(), "camel"))
    assert list(graph) == [
        "id",
        "name",
        "description",
        "version",
        "workflowVersionId",
        "status",
        "workspaceId",
        "workflowInputNodeId",
        "workflowOutputNodeId",
        "startingNodesIds",
        "endingNodesIds",
        "nodes",
        "edges",
        "parentAdjacency",
        "childAdjacency",
    ]
    assert graph["edges"]["e1"] == {"id": "e1", "fromNodeId": "n1", "toNodeId": "n2"}
    schema = graph["nodes"]["n1"]["inputSchema"]["schema"]
    assert schema["workflow_input_abc123def"] == {
        "variableName": "workflow_input_abc123def",
        "displayName": "Invoices",
        # The inside of a definition is snake_case wherever it was seen.
        "allowedTypes": [{"type": "array", "typeDefinition": FILES}],
        "isNullable": False,
        "tags": [{"variableName": "allowed_file_types", "value": ["PDF"]}],
    }
    assert schema["variable_name"]["variableName"] == "variable_name"


def test_trait_schema_camel_mixes_snake_and_camel_case_in_the_graph():
    graph = described("schema_camel")
    assert graph["workflowInputNodeId"] == "n1"
    assert graph["workflow_output_node_id"] == "n3"
    entry = graph["nodes"]["n1"]["input_schema"]["schema"]["workflow_input_abc123def"]
    assert entry == {
        "variableName": "workflow_input_abc123def",
        "display_name": "Invoices",
        "allowedTypes": [{"type": "array", "type_definition": FILES}],
        "is_nullable": False,
        "tags": [{"variableName": "allowed_file_types", "value": ["PDF"]}],
    }


def test_trait_schema_output_side_puts_inputs_into_output_schema_of_input_node():
    nodes = described("schema_output_side")["nodes"]
    assert nodes["n1"]["input_schema"] == {"schema": {}}
    inputs = described("schema_graph")["nodes"]["n1"]["input_schema"]
    assert nodes["n1"]["output_schema"] == inputs


def test_trait_schema_nodes_list_gives_graph_nodes_as_a_list():
    as_object, as_list = described("schema_graph")["nodes"], described("schema_nodes_list")["nodes"]
    assert [node["id"] for node in as_list] == ["n1", "n2", "n3"]
    assert {node["id"]: node for node in as_list} == as_object


def test_trait_schema_wrapped_data_and_workflow_wrap_flat_and_graph_schemas():
    flat, graph = described(), described("schema_graph")
    assert described("schema_wrapped_data") == {"data": flat}
    assert described("schema_wrapped_workflow", "schema_graph") == {"workflow": graph}
    both = described("schema_wrapped_workflow", "schema_wrapped_data", "schema_graph")
    assert both == {"data": {"workflow": graph}}


def test_trait_schema_shapes_can_be_combined():
    details = described("schema_camel", "schema_output_side", "schema_nodes_list", "schema_wrapped_data")
    (first, *_) = details["data"]["nodes"]
    assert list(first["outputSchema"]["schema"]) == ["workflow_input_abc123def", "variable_name"]
    cases = Shape.of(frozenset({"schema_output_side"}), "camel")
    assert "outputSchema" in describe(SMALL, 7, cases)["nodes"]["n1"]


# A reader of the test's own: what a shape says is the same whatever it is called.
SNAKE = {
    "workflowInputNodeId": "workflow_input_node_id",
    "inputSchema": "input_schema",
    "outputSchema": "output_schema",
    "displayName": "display_name",
    "allowedTypes": "allowed_types",
    "isNullable": "is_nullable",
    "typeDefinition": "type_definition",
}


def snaked(entry):
    return {SNAKE.get(name, name): value for name, value in entry.items()}


def inputs_of(details):
    for wrapper in ("data", "workflow"):
        details = details.get(wrapper, details)
    if "jobPayloadSchema" in details:
        return {
            name: (e["display_name"], e["type"], e.get("type_definition"), e["is_nullable"], files_of(e))
            for name, e in details["jobPayloadSchema"].items()
        }
    details = snaked(details)
    nodes = details["nodes"]
    if isinstance(nodes, list):
        nodes = {node["id"]: node for node in nodes}
    node = snaked(nodes[details["workflow_input_node_id"]])
    schema = node["input_schema"]["schema"] or node["output_schema"]["schema"]
    found = {}
    for name, entry in schema.items():
        told = snaked(entry)
        (allowed,) = (snaked(one) for one in told["allowed_types"])
        definition = allowed.get("type_definition")
        found[name] = (
            told["display_name"],
            allowed["type"],
            definition,
            told["is_nullable"],
            files_of(entry),
        )
    return found


def files_of(entry):
    return [tag["value"] for tag in entry["tags"]]


SHAPES = [
    (),
    ("schema_graph",),
    ("schema_camel",),
    ("schema_output_side",),
    ("schema_nodes_list",),
    ("schema_wrapped_data",),
    ("schema_wrapped_workflow",),
    ("schema_graph", "schema_wrapped_data", "schema_wrapped_workflow"),
    ("schema_camel", "schema_output_side", "schema_nodes_list", "schema_wrapped_workflow"),
]


@pytest.mark.parametrize("names", SHAPES, ids="+".join)
async def test_simulator_workflow_schema_has_the_same_inputs_in_every_shape_and_api_version(serve, names):
    api, plain = await serve(traits=frozenset(names)), await serve(generations="v0")
    for workflow in BUILTIN:
        wanted = inputs_of((await plain.get(f"/workflow/{workflow.workflow_id}")).json)
        assert list(wanted) == [variable.variable_name for variable in workflow.inputs]
        for prefix in ("", "/api/v1"):
            reply = await api.get(f"{prefix}/workflow/{workflow.workflow_id}")
            assert reply.status == 200
            assert inputs_of(reply.json) == wanted
            assert list(inputs_of(reply.json)) == list(wanted)


async def test_trait_schema_graph_overrides_the_shape_of_both_api_versions(serve):
    plain, graph = await serve(), await serve(traits=frozenset({"schema_graph"}))
    for api, old, new in ((plain, "jobPayloadSchema", "workflowInputNodeId"), (graph, *["nodes"] * 2)):
        assert old in (await api.get(f"/workflow/{ALL_TYPES}")).json
        assert new in (await api.get(f"/api/v1/workflow/{ALL_TYPES}")).json
    bodies = [(await graph.get(f"{prefix}/workflow/{ALL_TYPES}")).raw for prefix in ("", "/api/v1")]
    assert bodies[0] == bodies[1]


def version_of(details):
    for wrapper in ("data", "workflow"):
        details = details.get(wrapper, details)
    return details["version"], details.get("workflow_version_id") or details["workflowVersionId"]


@pytest.mark.parametrize("names", SHAPES, ids="+".join)
async def test_simulator_workflow_schema_of_older_version_is_served_in_every_shape(serve, names):
    api = await serve(traits=frozenset(names))
    for prefix in ("", "/api/v1"):
        path = f"{prefix}/workflow/{ALL_TYPES}"
        number, newest = version_of((await api.get(path)).json)
        one, first = version_of((await api.get(f"{path}?version=1")).json)
        assert (number, one, first == newest) == (3, 1, False)
        pinned = version_of((await api.get(f"{path}?version=3&workflowVersionId={first}")).json)
        assert pinned == (1, first)
        statuses = [
            (await api.get(f"{path}?{query}")).status
            for query in ("version=9", "version=x", f"workflowVersionId={UUID}", "workflowVersionId=1")
        ]
        assert statuses == [404, 400, 404, 400]
        assert (await api.get(f"{prefix}/workflow/{UUID}")).status == 404


async def test_trait_schema_retired_answers_500_but_keeps_reference_path_and_initiate(serve):
    api = await serve(traits=frozenset({"schema_retired"}))
    reference = next(workflow for workflow in BUILTIN if workflow.workflow_id == MODERN).reference_entity_id
    for path in (f"/workflow/{MODERN}", f"/workflow/{reference}?version=x", f"/api/v1/workflow/{reference}"):
        reply = await api.get(path)
        assert reply.status == 500
        assert reply.json == {
            "statusCode": 500,
            "message": "V1 workflow details are no longer supported",
            "timestamp": reply.json["timestamp"],
            "path": path.partition("?")[0],
        }
    graph = (await api.get(f"{OBJECT}/{reference}")).json
    assert graph["workflow_id"] == reference
    assert next(iter(inputs_of(graph))) == "workflow_input_pr0filejs"
    # What is retired is the description: a job can still be run.
    body = {"workflowId": reference, "title": "t", "description": "d"}
    assert (await api.post("/job/initiate", body)).status == 201


@pytest.mark.parametrize("tail", ["", "/variables-schema"])
async def test_simulator_reference_workflow_requires_uuid_and_key(serve, tail):
    for spoken in ("both", "v0", "v1"):
        api = await serve(generations=spoken)
        short = await api.get(f"{OBJECT}/{ALL_TYPES}{tail}")
        unknown = await api.get(f"{OBJECT}/{UUID}{tail}")
        keyless = await api.get(f"{OBJECT}/{UUID}{tail}", headers={})
        assert (short.status, short.message) == (400, ["id must be a UUID"])
        assert (unknown.status, unknown.message) == (404, "Workflow not found")
        assert keyless.status == 401
        for method, path in (("POST", f"{OBJECT}/{UUID}{tail}"), ("GET", f"{OBJECT}/{UUID}/more{tail}")):
            assert (await api.call(method, path)).message == f"Cannot {method} {path}"


async def test_simulator_reference_workflow_gives_graph_of_requested_version(serve):
    for names in ((), ("schema_camel", "schema_wrapped_data"), ("schema_output_side", "schema_nodes_list")):
        api = await serve(traits=frozenset(names))
        reference = BUILTIN[0].reference_entity_id
        graph = (await api.get(f"{OBJECT}/{reference}")).json
        # Spelling and wrappers are matters of the other paths.
        wanted = traited("schema_graph", *{"schema_output_side", "schema_nodes_list"} & set(names))
        assert graph == describe(BUILTIN[0], 3, wanted)
        assert (await api.get(f"{OBJECT}/{reference}?version=2")).json["version"] == 2
        assert (await api.get(f"{OBJECT}/{reference}?version=9")).status == 404
    assert api.simulator.state()["counters"]["requests"] == {"workflow_object": 3}


async def test_simulator_reference_variables_schema_has_inputs_and_outputs_only(api):
    workflow = BUILTIN[4]
    path = f"{OBJECT}/{workflow.reference_entity_id}/variables-schema"
    body = (await api.get(path)).json
    nodes = describe(workflow, 3, traited("schema_graph"))["nodes"]
    assert body == {
        "workflow_id": workflow.reference_entity_id,
        "version": 3,
        "input_schema": nodes["n1"]["input_schema"],
        "output_schema": nodes["n4"]["input_schema"],
    }
    assert (await api.get(f"{path}?version=1")).json["version"] == 1


async def test_trait_presign_needs_workflow_refuses_presign_without_workflow_or_workspace(serve):
    lenient, strict = await serve(), await serve(traits=frozenset({"presign_needs_workflow"}))
    body = {"fileExtension": ".pdf", "accessScope": "organization"}
    assert (await lenient.post("/job/file/upload", body)).status == 201
    refused = await strict.post("/job/file/upload", body)
    assert (refused.status, refused.message) == (400, ["workspaceId or workflowId is required"])
    scoped = await strict.post("/job/file/upload", body | {"accessScope": "workspace"})
    assert scoped.message == ["workspaceId or workflowId is required"]
    for place in ({"workflowId": ALL_TYPES}, {"workspaceId": OTHER_UUID}):
        assert (await strict.post("/job/file/upload", body | place)).status == 201


# Workflows that are added while the simulator runs.

ECHO = {
    "id": "Ech0AsReceived01",
    "name": "Echo",
    "inputs": [
        {"name": "Text", "type": "str", "variable": "text"},
        {"name": "Number", "type": "float", "variable": "number"},
        {"name": "Whole", "type": "int", "variable": "whole"},
        {"name": "Flag", "type": "bool", "variable": "flag"},
        {"name": "Day", "type": "date", "variable": "day"},
        {"name": "List", "type": "array", "variable": "list"},
        {"name": "Object", "type": "object", "variable": "object"},
        {"name": "JSON", "type": "json_string", "variable": "json"},
    ],
}


async def test_simulator_serve_workflow_adds_workflow_that_echoes_its_inputs(api):
    assert (await api.get("/workflow/Ech0AsReceived01")).status == 404
    assert api.simulator.serve_workflow(ECHO) == "Ech0AsReceived01"
    values = {
        "text": "\ud800 lone, \u2028, \x00, \U0001f600",
        "number": -0.1,
        "whole": 10**30,
        "flag": False,
        "day": "2024-02-29",
        "list": [[], {}, None, 0, "", 1e-7],
        "object": {"": {"a b": [None, True]}, "z": 0, "a": "\t"},
        "json": ' {"b": 1, "a": [ ]}\n',
    }
    types = {entry["variable"]: entry["type"] for entry in ECHO["inputs"]}
    payload = {name: {"value": value, "type": types[name]} for name, value in values.items()}
    outputs = await api.run("Ech0AsReceived01", payload)
    assert outputs == {entry["name"]: values[entry["variable"]] for entry in ECHO["inputs"]}
    assert list(outputs["Object"]) == ["", "z", "a"]


async def test_simulator_serve_workflow_replaces_workflow_with_same_id(api):
    api.simulator.serve_workflow({"id": "Repl4ced00000001", "inputs": [{"name": "Old", "type": "str"}]})
    old = (await api.get("/workflow/Repl4ced00000001")).json
    (name,) = old["jobPayloadSchema"]
    job_id = await api.initiate("Repl4ced00000001")
    vendor = old | {"jobPayloadSchema": {"fresh": {"display_name": "New", "type": "bool"}}}
    assert api.simulator.serve_workflow(vendor) == "Repl4ced00000001"
    new = (await api.get("/workflow/Repl4ced00000001")).json
    assert [entry["display_name"] for entry in new["jobPayloadSchema"].values()] == ["New"]
    listed = api.simulator.state()["simulator"]["workflows"]
    assert listed.count("Repl4ced00000001") == 1
    # The job was made for what there was then.
    assert (await api.execute(job_id, {name: {"value": "x", "type": "str"}})).status == 201
    await api.run("Repl4ced00000001", {"fresh": {"value": True, "type": "bool"}})


async def test_simulator_serve_workflow_with_uuid_uses_it_as_reference_entity_id(api):
    definition = {"id": UUID, "inputs": [{"name": "Text", "type": "str", "variable": "text"}]}
    api.simulator.serve_workflow(definition)
    assert (await api.get(f"/workflow/{UUID}")).json["referenceEntityId"] == UUID
    assert (await api.get(f"{OBJECT}/{UUID}")).json["workflow_id"] == UUID
    api.simulator.serve_workflow(definition | {"name": "Again"})
    assert (await api.get(f"{OBJECT}/{UUID}")).json["name"] == "Again"
    assert (await api.get(f"{OBJECT}/{OTHER_UUID}")).status == 404


async def test_simulator_serve_workflow_refuses_invalid_definition(api):
    before = api.simulator.state()["simulator"]["workflows"]
    for definition, message in (({"id": "x"}, "inputs: Field required"), ({}, "id: Field required")):
        with pytest.raises(WorkflowFileError, match=f"^{message}"):
            api.simulator.serve_workflow(definition)
    assert api.simulator.state()["simulator"]["workflows"] == before
