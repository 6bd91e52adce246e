"""The messages that OpenAI's clients send. What they carry beside the words is passed over: clients send answers back whole."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from parley.http.schemas import Input


class Lenient(Input):
    """A part of what a vendor may have written."""

    model_config = ConfigDict(extra="ignore")


class TextIn(Lenient):
    """Words."""

    type: Literal["text"]
    text: str


class RefusalIn(Lenient):
    """Words by which a model refused."""

    type: Literal["refusal"]
    refusal: str


class AddressIn(Lenient):
    """Where an image is: in the address itself, a data URL."""

    url: str


class ImageIn(Lenient):
    """An image."""

    type: Literal["image_url"]
    image_url: AddressIn


class CalledIn(Lenient):
    """Which function was called, with the arguments as JSON text."""

    name: Annotated[str, Field(min_length=1)]
    arguments: str


class CallIn(Lenient):
    """A call that the model made."""

    id: Annotated[str, Field(min_length=1)]
    type: Literal["function"] = "function"
    function: CalledIn


class MessageIn(Lenient):
    """One message."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Annotated[TextIn | RefusalIn | ImageIn, Field(discriminator="type")]] | None = None
    refusal: str | None = None
    tool_calls: list[CallIn] | None = None
    tool_call_id: str | None = None
