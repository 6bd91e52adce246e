"""Generated valid and invalid requests to every operation: no 5xx, and no response that the document does not describe."""

import json
import os
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, reject, settings
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.http_adapter import BASE_URL, FunctionAdapter, RouteNotFound
from tests.support.api_gateway import Person

DOCUMENT = json.loads((Path(__file__).parents[2] / "functions" / "web" / "openapi.json").read_text())
CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# The normal run is deterministic; `make fuzz` sends more requests, different in each run.
EXAMPLES = int(os.environ.get("PARLEY_FUZZ_EXAMPLES", "0"))
THOROUGH = settings(
    max_examples=EXAMPLES or 12,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def cases():
    """Yield each operation with valid requests and, if it has any input, with invalid ones."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, GenerationMode.POSITIVE
            if "requestBody" in operation or any(one["in"] in ("path", "query") for one in operation.get("parameters", ())):
                yield path, method, GenerationMode.NEGATIVE


@pytest.fixture(scope="session")
def schema():
    return schemathesis.openapi.from_dict(json.loads(json.dumps(DOCUMENT)))


@pytest.fixture
def client(stack, request, make_admin):
    """A client whose requests reach the functions."""

    def newcomer(is_admin):
        person = Person.registered(functions["AuthFunction"])
        return make_admin(person) if is_admin else person

    functions = {f"{tag['name'].title()}Function": request.getfixturevalue(tag["name"]) for tag in DOCUMENT["tags"]}
    with requests.Session() as session:
        session.mount(BASE_URL, FunctionAdapter(stack, functions, newcomer))
        yield session


@pytest.mark.parametrize(("path", "method", "mode"), list(cases()), ids=str)
def test_no_request_gets_an_answer_that_is_not_documented(schema, client, path, method, mode):
    operation = schema[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @THOROUGH
    def conforms(case):
        try:
            case.call_and_validate(base_url=BASE_URL, session=client, checks=CHECKS)
        except RouteNotFound:
            reject()

    conforms()
