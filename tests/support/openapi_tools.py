"""Holds requests and answers against an OpenAPI document; knows nothing of Opus, client or simulator."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, unquote

from jsonschema import Draft202012Validator

METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
JSON = "application/json"


@dataclass(frozen=True)
class Operation:
    """One operation of the document, its own references resolved; those inside schemas are not."""

    method: str
    path: str
    id: str
    parameters: tuple[dict[str, Any], ...]
    body: dict[str, Any] | None
    responses: dict[str, dict[str, Any]]
    spec: dict[str, Any]

    def match(self, path: str) -> dict[str, str] | None:
        """The values of the path's parameters as they were sent, or None."""
        found = self._pattern.fullmatch(path)
        return found and found.groupdict()

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path))

    def response(self, status: int) -> dict[str, Any] | None:
        """What is said about answers with this status: by itself, or by its range."""
        return self.responses.get(str(status)) or self.responses.get(f"{status // 100}XX")


class Description:
    """An OpenAPI 3.1 document that requests and answers are held against.

    A problem is a text; no problem is an empty list.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._validator = Draft202012Validator(document, format_checker=Draft202012Validator.FORMAT_CHECKER)
        self.operations = [
            self._operation(method.upper(), path, item)
            for path, item in document["paths"].items()
            for method in METHODS
            if method in item
        ]
        self._answers: dict[tuple[object, ...], list[str]] = {}
        self._most_concrete_first = sorted(self.operations, key=lambda operation: operation.path.count("{"))
        schemes = document["components"]["securitySchemes"].values()
        self._key_headers = [scheme["name"].lower() for scheme in schemes if scheme.get("in") == "header"]

    def resolve(self, value: dict[str, Any]) -> dict[str, Any]:
        """Follow a reference within the document, if it is one."""
        while isinstance(value, dict) and "$ref" in value:
            found: Any = self.document
            for part in value["$ref"].removeprefix("#/").split("/"):
                found = found[part.replace("~1", "/").replace("~0", "~")]
            value = found
        return value

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation of a request, the most concrete path first, and the values in its path."""
        for operation in self._most_concrete_first:
            values = operation.match(path)
            if operation.method == method and values is not None:
                return operation, values
        return None

    def problems(self, schema: Mapping[str, Any], value: Any) -> list[str]:
        """What is wrong with a JSON value."""
        errors = self._validator.evolve(schema=schema).iter_errors(value)
        return [f"{error.json_path}: {error.message}" for error in errors]

    def request_problems(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> list[str]:
        """What is wrong with a request; names that the document does not know are wrong too."""
        path, _, query = target.partition("?")
        found = self.find(method, path)
        if found is None:
            return [f"there is no {method} {path}"]
        operation, in_path = found
        sent = {name.lower(): value for name, value in headers.items()}
        problems = [f"no header {name}" for name in self._key_headers if not sent.get(name)]
        problems += self._parameter_problems(operation, in_path, query)
        return [
            f"{operation.id}: {problem}"
            for problem in problems + self._body_problems(operation, sent.get("content-type"), body)
        ]

    def answer_problems(
        self, method: str, target: str, status: int, content_type: str | None, body: bytes
    ) -> list[str]:
        """What is wrong with an answer."""
        path = target.partition("?")[0]
        found = self.find(method, path)
        if found is None:
            return [f"there is no {method} {path}"]
        answer = (found[0].id, status, content_type, body)
        if answer not in self._answers:  # the same answer comes again and again, and checking one is slow
            self._answers[answer] = self._answer_problems(found[0], status, content_type, body)
        return self._answers[answer]

    def examples(self) -> Iterator[tuple[str, dict[str, Any], Any]]:
        """Every example of the document: where it stands, its schema, its value."""
        yield from self._examples_in("#", self.document)

    def example_path(self, operation: Operation) -> str:
        """The path of an operation with the examples of its parameters."""
        path = operation.path
        for parameter in operation.parameters:
            if parameter["in"] == "path":
                named = parameter.get("examples", {"": {"value": parameter.get("example")}})
                path = path.replace(f"{{{parameter['name']}}}", next(iter(named.values()))["value"])
        return path

    def examples_of(self, operation: Operation, status: str) -> dict[str, Any]:
        """The JSON examples of an operation's answers with this status: name to value."""
        named = operation.responses[status]["content"][JSON].get("examples", {})
        return {name: self.resolve(example)["value"] for name, example in named.items()}

    def _operation(self, method: str, path: str, item: dict[str, Any]) -> Operation:
        spec = item[method.lower()]
        parameters = [*item.get("parameters", ()), *spec.get("parameters", ())]
        return Operation(
            method=method,
            path=path,
            id=spec["operationId"],
            parameters=tuple(self.resolve(parameter) for parameter in parameters),
            body=self.resolve(spec["requestBody"]) if "requestBody" in spec else None,
            responses={status: self.resolve(answer) for status, answer in spec["responses"].items()},
            spec=spec,
        )

    def _answer_problems(
        self, operation: Operation, status: int, content_type: str | None, body: bytes
    ) -> list[str]:
        response = operation.response(status)
        if response is None:
            return [f"{operation.id}: {status} is not described: {body[:200]!r}"]
        content = response.get("content")
        if content is None:
            return []
        media_type = (content_type or "").partition(";")[0]
        if media_type not in content:
            return [f"{operation.id}: {status} as {media_type} is not described"]
        value = json.loads(body) if media_type == JSON else body.decode()
        problems = self.problems(content[media_type]["schema"], value)
        return [f"{operation.id}: {status}: {problem}" for problem in problems]

    def _parameter_problems(self, operation: Operation, in_path: dict[str, str], query: str) -> list[str]:
        in_query = parse_qs(query, keep_blank_values=True)
        known = {parameter["name"] for parameter in operation.parameters if parameter["in"] == "query"}
        problems = [f"the query has an unknown {name}" for name in in_query if name not in known]
        for parameter in operation.parameters:
            name = parameter["name"]
            given = [unquote(in_path[name])] if parameter["in"] == "path" else in_query.get(name)
            if given is None:
                problems += [f"no parameter {name}"] if parameter.get("required") else []
                continue
            schema = parameter["schema"]
            value = given if schema.get("type") == "array" else _read(schema, given[-1])
            problems += [f"{name} {problem}" for problem in self.problems(schema, value)]
        return problems

    def _body_problems(self, operation: Operation, content_type: str | None, body: bytes) -> list[str]:
        if operation.body is None:
            return ["a body where none belongs"] if body else []
        media_type = (content_type or "").partition(";")[0]
        if media_type not in operation.body["content"]:
            return [f"a body as {media_type}"]
        schema, value = operation.body["content"][media_type]["schema"], json.loads(body)
        return [*self.problems(schema, value), *self._unknown("$", schema, value)]

    def _unknown(self, where: str, schema: dict[str, Any], value: Any) -> Iterator[str]:
        """Members of a value that no `properties` names: JSON Schema would let them pass."""
        schema = self.resolve(schema)
        if isinstance(value, list):
            for item in value:
                yield from self._unknown(f"{where}[]", schema.get("items", {}), item)
        if not isinstance(value, dict):
            return
        named, rest = schema.get("properties"), schema.get("additionalProperties")
        for name, member in value.items():
            if named and name in named:
                yield from self._unknown(f"{where}.{name}", named[name], member)
            elif isinstance(rest, dict):
                yield from self._unknown(f"{where}.{name}", rest, member)
            elif named:
                yield f"{where}.{name} is not described"

    def _examples_in(self, where: str, value: Any) -> Iterator[tuple[str, dict[str, Any], Any]]:
        if isinstance(value, dict):
            yield from self._examples_at(where, value)
        for name, member in _members(value):
            if name not in {"example", "examples"}:
                yield from self._examples_in(f"{where}/{name}", member)

    def _examples_at(self, where: str, value: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any]]:
        examples = value.get("examples", ())
        if isinstance(examples, dict) and "schema" in value:  # a parameter, a header or a media type
            for name, example in examples.items():
                yield f"{where}/examples/{name}", value["schema"], self.resolve(example)["value"]
        elif isinstance(examples, list):  # a schema
            for index, example in enumerate(examples):
                yield f"{where}/examples/{index}", value, example
        if "example" in value and "schema" in value:
            yield f"{where}/example", value["schema"], value["example"]


def _read(schema: Mapping[str, Any], text: str) -> Any:
    """A parameter as its schema's type; the text itself where it is none of it."""
    try:
        return {"integer": int, "number": float}.get(schema.get("type", ""), str)(text)
    except ValueError:
        return text


def _members(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()
