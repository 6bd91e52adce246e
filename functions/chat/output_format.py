"""`response_format`, in OpenAI's words: how an answer shall be written."""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from parley.http.schemas import Input
from parley.llm.messages import OutputSchema

type Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class SchemaIn(Input):
    """A JSON schema for the answer."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: Name
    description: str | None = None
    json_schema: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class FormatIn(Input):
    """`response_format`: plain text, any JSON object, or JSON by a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: SchemaIn | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise PydanticCustomError("json_schema", "json_schema belongs to the type json_schema, and to no other")
        return self

    def output(self) -> OutputSchema | None:
        """Return what the model is told; None for plain text."""
        if self.json_schema:
            return OutputSchema(self.json_schema.name, self.json_schema.json_schema, strict=bool(self.json_schema.strict))
        return OutputSchema("answer", {"type": "object"}, strict=False) if self.type == "json_object" else None
