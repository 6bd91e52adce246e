"""The OpenAPI document of all functions: current, valid, and consistent with the template."""

import json

import pytest
import schemathesis

from local.template.stack import LambdaIntegration
from openapi.files import FOLDER, render_files

DOCUMENT = json.loads((FOLDER / "openapi.json").read_text())
OPERATIONS = {f"{method.upper()} {path}": one for path, methods in DOCUMENT["paths"].items() for method, one in methods.items()}
PROBLEM = "application/problem+json"


def answer(operation, status):
    """Return a response with its reference resolved."""
    found = operation["responses"][str(status)]
    return DOCUMENT["components"]["responses"][found["$ref"].rpartition("/")[2]] if "$ref" in found else found


# Invalid MCP messages get the protocol's own errors; only requests without authorization get problem documents.
JSON_RPC = {"POST /mcp"}
OAUTH = {"POST /oauth/register", "POST /oauth/token", "POST /oauth/revoke"}


def is_anthropics(name):
    """Return whether an operation's own errors have Anthropic's format; the gateway's are problem documents in any case."""
    return name.partition(" ")[2].startswith("/v1/messages")


def is_openais(name):
    """Return whether an operation's own errors have OpenAI's format; the gateway's are problem documents in any case."""
    return name.partition(" ")[2].startswith("/v1/") and not is_anthropics(name)


def is_scims(name):
    """Return whether an operation's own errors have SCIM's format; the gateway's are problem documents in any case."""
    return name.partition(" ")[2].startswith("/scim/")


def codes(operation, status):
    """Return the possible codes of a problem with this status."""
    return set(answer(operation, status)["content"][PROBLEM]["schema"]["allOf"][1]["properties"]["code"]["enum"])


def errors(operation):
    """Return the statuses of an operation's errors, in any format."""
    return {int(status) for status in operation["responses"] if int(status) >= 400}


def refused(operation):
    """Return the statuses of an operation's problem documents."""
    return {int(status) for status in operation["responses"] if PROBLEM in answer(operation, status).get("content", {})}


@pytest.mark.parametrize("name", ["openapi.json", "docs.html"])
def test_the_description_is_current(name):
    assert (FOLDER / name).read_text() == render_files()[FOLDER / name], "run `make openapi`"


def test_the_document_is_valid_openapi_3_1():
    assert DOCUMENT["openapi"].startswith("3.1")

    schemathesis.openapi.from_dict(json.loads(json.dumps(DOCUMENT))).validate()


def test_every_route_of_the_gateway_is_told_of(stack):
    routes = {f"{route.method} {route.path}" for route in stack.api.routes if isinstance(route.integration, LambdaIntegration)}

    assert set(OPERATIONS) == routes


def test_an_operation_wants_a_token_exactly_where_the_gateway_does(stack):
    guarded = {f"{route.method} {route.path}" for route in stack.api.routes if route.authorizer}

    assert {name for name, one in OPERATIONS.items() if one["security"] == [{"bearer": []}]} == guarded
    assert {name for name, one in OPERATIONS.items() if one["security"] == []} == OPERATIONS.keys() - guarded


def test_operations_are_named_once_and_promise_something():
    names = [one["operationId"] for one in OPERATIONS.values()]

    assert len(set(names)) == len(names)
    assert [name for name, one in OPERATIONS.items() if not one["summary"]] == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_tells_of_the_refusals_that_its_form_brings(name):
    operation = OPERATIONS[name]
    takes = {one["in"] for one in operation.get("parameters", ())} | ({"body"} if "requestBody" in operation else set())
    expected = {429, 500, 502, 504} | ({401, 403, 503} if operation["security"] else set())
    invalid = 400 if is_openais(name) or is_anthropics(name) or is_scims(name) else 422
    expected |= ({400, 413} if "body" in takes else set()) | ({invalid} if takes else set()) | ({404} if "path" in takes else set())

    assert expected <= errors(operation)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_error_is_a_problem_document(name):
    found = {status: answer(OPERATIONS[name], status)["content"] for status in errors(OPERATIONS[name])}
    has_own_form = is_openais(name) or is_anthropics(name) or name in JSON_RPC | OAUTH
    forms = {PROBLEM, "application/json"} if has_own_form else {PROBLEM, "application/scim+json"} if is_scims(name) else {PROBLEM}

    assert [status for status, content in found.items() if not forms & content.keys()] == []


@pytest.mark.parametrize("name", [name for name in OPERATIONS if is_openais(name)])
def test_what_openais_clients_are_refused_by_has_openais_form(name):
    schema = answer(OPERATIONS[name], 401)["content"]["application/json"]["schema"]["allOf"]

    assert schema[0] == {"$ref": "#/components/schemas/OpenAIError"}
    assert schema[1]["properties"]["error"]["properties"]["code"]["enum"] == ["invalid_api_key"]
    assert {402, 422} & errors(OPERATIONS[name]) == set()


@pytest.mark.parametrize("name", [name for name in OPERATIONS if is_anthropics(name)])
def test_an_error_of_anthropics_api_has_its_form(name):
    schema = answer(OPERATIONS[name], 401)["content"]["application/json"]["schema"]["allOf"]
    details = schema[1]["properties"]["error"]["properties"]["details"]["properties"]

    assert schema[0] == {"$ref": "#/components/schemas/AnthropicError"}
    assert details["error_code"]["enum"] == ["unauthorized"]
    assert 422 not in errors(OPERATIONS[name])


@pytest.mark.parametrize("name", [name for name in OPERATIONS if is_scims(name)])
def test_an_error_of_the_scim_routes_has_its_form(name):
    schema = answer(OPERATIONS[name], 401)["content"]["application/scim+json"]["schema"]["allOf"]

    assert schema[0] == {"$ref": "#/components/schemas/ScimError"}
    assert 422 not in errors(OPERATIONS[name])


@pytest.mark.parametrize(
    ("name", "status", "expected"),
    [
        ("POST /auth/register", 409, {"email_taken"}),
        ("POST /auth/register", 422, {"invalid_input", "weak_password"}),
        ("POST /auth/login", 401, {"invalid_credentials"}),
        ("POST /chat", 503, {"no_model", "provider_busy", "unavailable", "database_waking"}),
        ("GET /conversations/{id}", 404, {"not_found"}),
        ("GET /conversations", 401, {"unauthorized"}),
    ],
)
def test_an_operations_own_errors_stand_beside_the_general_ones(name, status, expected):
    assert codes(OPERATIONS[name], status) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("POST /chat", {"in_progress", "conversation_busy"}),
        ("POST /chat/regenerate", {"in_progress", "conversation_busy", "nothing_to_regenerate"}),
    ],
)
def test_every_code_of_a_conflict_is_described(name, expected):
    assert codes(OPERATIONS[name], 409) == expected


def test_chat_answers_as_a_stream_or_in_one_piece():
    assert set(answer(OPERATIONS["POST /chat"], 200)["content"]) == {"text/event-stream", "application/json"}


def test_who_is_sent_away_is_told_when_to_come_back():
    for operation in OPERATIONS.values():
        for status in refused(operation) & {429, 503}:
            assert "$ref" not in operation["responses"][str(status)] or "Retry-After" in answer(operation, status)["headers"]


def test_nothing_of_the_frameworks_own_errors_is_left():
    assert "HTTPValidationError" not in json.dumps(DOCUMENT)


def test_addresses_are_relative_so_that_any_stage_can_serve_it():
    assert DOCUMENT["servers"] == [{"url": "."}]
