"""Bases of the request and response models."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer

from parley.clock import rfc3339

Moment = Annotated[datetime, PlainSerializer(rfc3339, return_type=str)]


class Input(BaseModel):
    """A request body: unknown fields and other types than the declared are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Output(BaseModel):
    """A response body, read from our dataclasses."""

    model_config = ConfigDict(from_attributes=True, frozen=True)
