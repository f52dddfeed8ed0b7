"""The bases of the pydantic models in a workflow's Python module."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Generic, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator

from opus_async.json_text import parsed

InputsT = TypeVar("InputsT", bound=Mapping[str, Any])


class InputsModel(BaseModel, Generic[InputsT]):
    """The inputs of a workflow, checked and converted when they come from outside: a form, a queue.

    Fields are given by their own names or by the display names. What the workflow does not have is refused.
    """

    model_config = ConfigDict(populate_by_name=True, extra="forbid", protected_namespaces=())

    def to_inputs(self) -> InputsT:
        """The inputs by display name, as a run takes them; those that were not given are left out."""
        fields = type(self).model_fields
        given = {
            name if field.alias is None else field.alias: getattr(self, name)
            for name, field in fields.items()
            if name in self.model_fields_set
        }
        return cast("InputsT", given)


class OutputsModel(BaseModel):
    """The outputs of a job; what the workflow gives besides is ignored.

    A text that holds a JSON object or array is parsed where no text is expected: agents write them so.
    """

    model_config = ConfigDict(populate_by_name=True, extra="ignore", protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _parse_json_text(cls, outputs: Any) -> Any:
        if not isinstance(outputs, Mapping):
            return outputs
        texts = {
            name
            for own, field in cls.model_fields.items()
            for name in (own, field.alias)
            if _is_text(field.annotation)
        }
        return {name: value if name in texts else parsed(value) for name, value in outputs.items()}


def _is_text(annotation: Any) -> bool:
    union = get_origin(annotation) in (Union, UnionType)
    kinds = get_args(annotation) if union else (annotation,)
    return {str} == {kind for kind in kinds if kind is not NoneType}
