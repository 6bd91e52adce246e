"""Bases of the request and response models."""

import json
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer, model_validator
from pydantic_core import PydanticCustomError

from parley.clock import rfc3339

Moment = Annotated[datetime, PlainSerializer(rfc3339, return_type=str)]


class Input(BaseModel):
    """A request body: unknown fields and other types than the declared are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _is_unicode(cls, data: Any) -> Any:
        """JSON can write half of a surrogate pair, which is no character: UTF-8 and PostgreSQL refuse it."""
        try:
            json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError as exc:
            raise PydanticCustomError("not_unicode", "the text holds characters that cannot be stored") from exc
        except TypeError:
            return data  # not from JSON: the fields' own types will say so
        return data


class Output(BaseModel):
    """A response body, read from our dataclasses."""

    model_config = ConfigDict(from_attributes=True, frozen=True)
