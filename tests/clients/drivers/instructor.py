"""Instructor, around OpenAI's SDK."""

import instructor
from checks import KEY, MODEL, PERSON, QUESTION, URL, check, equal, raises
from openai import OpenAI
from pydantic import BaseModel

client = instructor.from_openai(OpenAI(base_url=f"{URL}/v1", api_key=KEY))

ASK = [{"role": "user", "content": QUESTION}]


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@check("tools")
def _() -> None:
    equal(client.create(model=MODEL, messages=ASK, response_model=Person).model_dump(), PERSON)


@check("structured output")
def _() -> None:
    by_schema = instructor.from_openai(OpenAI(base_url=f"{URL}/v1", api_key=KEY), mode=instructor.Mode.JSON_SCHEMA)
    equal(by_schema.create(model=MODEL, messages=ASK, response_model=Person).model_dump(), PERSON)


@check("stream")
def _() -> None:
    partial = list(client.create_partial(model=MODEL, messages=ASK, response_model=Person))
    equal(partial[-1].model_dump(), PERSON)


@check("errors")
def _() -> None:
    with raises(Exception, "404"):
        client.create(model="no-such-model", messages=ASK, response_model=Person, max_retries=0)
