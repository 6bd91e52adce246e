"""Parts of request models that the APIs of OpenAI and Anthropic share."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict

from parley.http.schemas import Input


class LenientInput(Input):
    """Base class of inputs that may come from a vendor's answer. Unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")


class RefusalPartIn(LenientInput):
    """The text with which a model refused to answer."""

    type: Literal["refusal"]
    refusal: str


def as_whole_number(value: Any) -> Any:
    """Return `100.0` as 100, because clients in languages with one type of number send it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


type WholeNumber = Annotated[int, BeforeValidator(as_whole_number)]
