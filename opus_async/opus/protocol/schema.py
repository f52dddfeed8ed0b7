"""Reads workflow schemas, in every shape seen -> ``Workflow``.

Seen on the same path: a flat ``jobPayloadSchema``, the graph of builder V2 (inputs at its input node, the
type in ``allowed_types``), either with snake_case and camelCase in any mixture, and either inside
``workflow`` or ``data``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from opus_async.errors import APIError
from opus_async.input_problems import InputProblem, ProblemCode, Unfit
from opus_async.models import InputField, OutputField, Workflow
from opus_async.opus.errors import RetiredPath
from opus_async.opus.protocol.input_labels import input_problem, quoted
from opus_async.opus.protocol.input_types import known_type
from opus_async.opus.protocol.responses import body_of_accepted
from opus_async.wire.messages import ApiResponse
from opus_async.wire.responses import first_of, identifier, protocol_error, text

_WRAPPERS = ("workflow", "data")
_FILE_TYPE_TAGS = ("allowed_file_types", "allowedFileTypes")
_RETIRED = "workflow details are no longer supported"
_VERSION = re.compile(r"[0-9]{1,18}")


def read_workflow(answer: ApiResponse, workflow_id: str) -> Workflow:
    """Read a workflow, in any shape seen.

    The other path that still gives the details of a retired one is asked for by the client, which can make a
    second call; its answer, a V2 graph, is read here too.

    Raises:
        RetiredPath: The 500 "V1 workflow details are no longer supported".
        APIError: The answer means no.
        ProtocolError: It is no JSON, or holds no schema of inputs.
    """
    try:
        body = body_of_accepted(answer)
    except APIError as error:
        raise _retired(error) or error from None
    layers = _layers(body)
    for layer in layers:
        inputs = _inputs_of(layer)
        if inputs is not None:
            fields = {field.variable_name: field for field in _fields(inputs)}
            outputs = {field.variable_name: _as_output(field) for field in _fields(_outputs_of(layer))}
            return Workflow(
                workflow_id=workflow_id,
                name=text(layer.get("name")) or "",
                description=text(layer.get("description")) or "",
                inputs=MappingProxyType(fields),
                outputs=MappingProxyType({name: field.display_name for name, field in outputs.items()}),
                output_fields=MappingProxyType(outputs),
                version=_number_of(first_of(layer, "version", "versionNumber", "version_number")),
                version_id=identifier(
                    first_of(layer, "workflowVersionId", "workflow_version_id", "versionId", "version_id")
                ),
                workspace_id=_workspace_of(layers),
                warnings=tuple(
                    _unknown_type(field) for field in fields.values() if known_type(field.type) is None
                ),
                raw=body,
            )
    raise protocol_error(answer, "without a schema of the workflow's inputs")


def _retired(error: APIError) -> RetiredPath | None:
    """The same refusal as a RetiredPath; None where it is for another reason."""
    if _RETIRED not in error.detail:
        return None
    return RetiredPath(
        f"The platform no longer gives the details of this workflow: {error.detail.rstrip(' .')}. It was "
        "made with an old builder: rebuild it in Opus, or use the UUID that is on its page.",
        status=error.status,
        code=error.code,
        detail=error.detail,
        request_id=error.request_id,
        attempt=error.attempt,
        method=error.method,
        url=error.url,
    )


def _layers(body: Any, depth: int = 2) -> list[Mapping[str, Any]]:
    """The body and what it wraps, outermost first."""
    if not isinstance(body, dict):
        return []
    found: list[Mapping[str, Any]] = [body]
    if depth:
        for wrapper in _WRAPPERS:
            found += _layers(body.get(wrapper), depth - 1)
    return found


def _inputs_of(layer: Mapping[str, Any]) -> Any:
    """The inputs as sent; None where this layer has none. A flat schema that is empty yields to a graph."""
    flat = first_of(layer, "jobPayloadSchema", "job_payload_schema")
    if flat:
        return flat
    node = _node(layer, "workflow_input_node_id", "workflowInputNodeId")
    if node is not None:
        return _schema_of(node, "input", "output")
    return {} if flat is not None else None


def _outputs_of(layer: Mapping[str, Any]) -> Any:
    flat = first_of(layer, "jobResultsPayloadSchema", "job_results_payload_schema")
    if flat:
        return flat
    node = _node(layer, "workflow_output_node_id", "workflowOutputNodeId")
    return None if node is None else _schema_of(node, "input", "output")


def _node(layer: Mapping[str, Any], *id_names: str) -> Mapping[str, Any] | None:
    """A node of the graph, whose nodes are a mapping by id or a list."""
    node_id = identifier(first_of(layer, *id_names))
    nodes = layer.get("nodes")
    if node_id is None:
        return None
    if isinstance(nodes, dict):
        node = nodes.get(node_id)
        return node if isinstance(node, dict) else None
    if isinstance(nodes, list):
        for node in nodes:
            if isinstance(node, dict) and identifier(first_of(node, "id", "node_id", "nodeId")) == node_id:
                return node
    return None


def _schema_of(node: Mapping[str, Any], *sides: str) -> Any:
    """The variables of a node: its ``input_schema`` as most clients read it, else its ``output_schema``."""
    for side in sides:
        schema = first_of(node, f"{side}_schema", f"{side}Schema")
        variables = schema.get("schema") if isinstance(schema, dict) else None
        if variables:
            return variables
    return {}


def _fields(variables: Any) -> Iterable[InputField]:
    """The variables, which are a mapping by name or a list; what is no object is no variable."""
    if isinstance(variables, dict):
        named: Iterable[tuple[str, Any]] = variables.items()
    elif isinstance(variables, list):
        named = (("", entry) for entry in variables)
    else:
        return
    for name, entry in named:
        if isinstance(entry, dict):
            variable_name = text(first_of(entry, "variable_name", "variableName")) or name
            if variable_name:
                yield _field(variable_name, entry)


def _field(variable_name: str, entry: Mapping[str, Any]) -> InputField:
    word, definition = _type_of(entry)
    word = word or "str"  # a field without type: text is what everything can be written as
    kind = known_type(word)
    allowed = _allowed_file_types(entry.get("tags"))
    item_type = _type_of(definition)[0] if definition else text(first_of(entry, "item_type", "itemType"))
    if kind == "array" and item_type is None and allowed:
        item_type = "file"  # only files have file types
    return InputField(
        variable_name=variable_name,
        display_name=text(first_of(entry, "display_name", "displayName")) or variable_name,
        type=kind or word,
        schema_type=word if word != kind else None,
        nullable=first_of(entry, "is_nullable", "isNullable") in (True, "true"),
        allowed_file_types=allowed,
        item_type=item_type and (known_type(item_type) or item_type),
        type_definition=definition,
        raw=entry,
    )


def _as_output(field: InputField) -> OutputField:
    return OutputField(
        variable_name=field.variable_name,
        display_name=field.display_name,
        type=field.type,
        nullable=field.nullable,
        item_type=field.item_type,
        raw=field.raw,
    )


def _unknown_type(field: InputField) -> InputProblem:
    unknown = Unfit(
        "has the type {}, which this client does not know: any JSON value is taken for it, and sent as it is "
        "given",
        quoted(field.type),
        code=ProblemCode.UNKNOWN_TYPE,
    )
    return input_problem(field, unknown)


def _type_of(entry: Mapping[str, Any]) -> tuple[str | None, Mapping[str, Any] | None]:
    """The type as bare text, and the definition of its items.

    From ``type``, which can be an object, or else from the first of ``allowed_types``.
    """
    allowed = first_of(entry, "allowed_types", "allowedTypes")
    first = allowed[0] if isinstance(allowed, list) and allowed else None
    kind = text(entry.get("type"))
    definition = first_of(entry, "type_definition", "typeDefinition")
    if not isinstance(definition, dict):
        definition = None
    for inner in (entry.get("type"), first):
        if isinstance(inner, dict):
            inner_kind, inner_definition = _type_of(inner)
            kind = kind or inner_kind
            definition = definition or inner_definition
    return kind or text(first), definition


def _allowed_file_types(tags: Any) -> tuple[str, ...]:
    """The tag ``allowed_file_types``, upper case without dot."""
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, dict) and first_of(tag, "variable_name", "variableName") in _FILE_TYPE_TAGS:
            names = tag.get("value")
            names = names.split(",") if isinstance(names, str) else names
            return tuple(
                name.strip().lstrip(".").upper()
                for name in (names if isinstance(names, list) else ())
                if isinstance(name, str) and name.strip(" .")
            )
    return ()


def _number_of(value: Any) -> int | None:
    """A version number, also as text."""
    number = identifier(int(value) if isinstance(value, float) and value.is_integer() else value)
    return int(number) if number is not None and _VERSION.fullmatch(number) else None


def _workspace_of(layers: Iterable[Mapping[str, Any]]) -> str | None:
    for layer in layers:
        workspace = layer.get("workspace")
        inner = workspace.get("id") if isinstance(workspace, dict) else None
        found = identifier(first_of(layer, "workspaceId", "workspace_id")) or identifier(inner)
        if found is not None:
            return found
    return None
