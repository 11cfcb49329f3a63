"""What every section of the environment file has in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, no value is guessed from one of another type, nothing changes.

    A section whose fields all have defaults may be left empty: `backend:` means `backend: {}`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_means_defaults(cls, data: Any) -> Any:
        return {} if data is None else data


class Shorthand:
    """Annotation of a field that also takes a shorter form.

    Args:
        expand: gives the full form of a short one, and anything else as it is.
        schema: the JSON Schema of the short form.
    """

    def __init__(self, expand: Callable[[Any], Any], schema: JsonSchemaValue) -> None:
        self.expand = expand
        self.schema = schema

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [self.schema, handler(schema)]}
