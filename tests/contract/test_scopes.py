"""A token without the required scope may only log itself out."""

from dataclasses import replace
from uuid import UUID

import pytest

from local.template.stack import LambdaIntegration
from parley.auth.principal import ADMIN_SCOPES

FUNCTIONS = {"AuthFunction": "auth", "ChatFunction": "chat", "ConversationFunction": "conversation", "ToolsFunction": "tools"} | {
    "DocumentsFunction": "documents"
}
NEEDED = {
    "GET /auth/me": "account",
    "PATCH /auth/me": "account",
    "DELETE /auth/me": "account",
    "POST /auth/me/exports": "account",
    "GET /auth/me/exports/{id}": "account",
    "POST /auth/password": "account",
    "POST /auth/email": "account",
    "POST /auth/email/confirm": "account",
    "GET /auth/audit": "account",
    "GET /auth/sessions": "account",
    "DELETE /auth/sessions/{id}": "account",
    "GET /auth/second-factor": "account",
    "POST /auth/second-factor": "account",
    "POST /auth/second-factor/confirm": "account",
    "DELETE /auth/second-factor": "account",
    "POST /auth/passkeys/begin": "account",
    "POST /auth/passkeys": "account",
    "GET /auth/passkeys": "account",
    "PATCH /auth/passkeys/{id}": "account",
    "DELETE /auth/passkeys/{id}": "account",
    "POST /auth/authorizations": "account",
    "POST /auth/authorizations/preview": "account",
    "POST /auth/api-keys": "account",
    "GET /auth/api-keys": "account",
    "DELETE /auth/api-keys/{id}": "account",
    "POST /auth/groups": "account",
    "GET /auth/groups": "account",
    "GET /auth/groups/{id}": "account",
    "PATCH /auth/groups/{id}": "account",
    "DELETE /auth/groups/{id}": "account",
    "GET /auth/groups/{id}/members": "account",
    "PUT /auth/groups/{id}/members": "account",
    "DELETE /auth/groups/{id}/members": "account",
    "POST /auth/groups/{id}/join": "account",
    "GET /admin/users": "admin",
    "PATCH /admin/users/{id}": "admin",
    "DELETE /admin/users/{id}/sessions": "admin",
    "DELETE /admin/sessions": "admin",
    "GET /admin/usage": "admin",
    "GET /admin/feedback": "admin",
    "GET /admin/audit": "admin",
    "POST /admin/audit/exports": "admin",
    "POST /admin/invites": "admin",
    "GET /admin/invites": "admin",
    "DELETE /admin/invites/{id}": "admin",
    "GET /admin/groups": "admin",
    "PATCH /admin/groups/{id}": "admin",
    "POST /admin/scim-token": "admin",
    "GET /admin/scim-token": "admin",
    "DELETE /admin/scim-token": "admin",
    "POST /chat": "chat",
    "POST /chat/ag-ui": "chat",
    "POST /chat/regenerate": "chat",
    "GET /chat/images/{id}": "chat",
    "GET /chat/images/{id}/content": "chat",
    "GET /chat/turns/{id}": "chat",
    "GET /chat/turns/{id}/events": "chat",
    "POST /chat/turns/{id}/stop": "chat",
    "POST /chat/turns/{id}/approvals": "chat",
    "POST /chat/turns/{id}/answers": "chat",
    "POST /chat/turns/{id}/messages": "chat",
    "GET /models": "chat",
    "GET /v1/models": "chat",
    "GET /v1/models/{id}": "chat",
    "POST /v1/chat/completions": "chat",
    "POST /v1/embeddings": "chat",
    "POST /v1/responses": "chat",
    "POST /v1/responses/input_tokens": "chat",
    "POST /v1/responses/compact": "chat",
    "GET /v1/responses/{id}": "chat",
    "DELETE /v1/responses/{id}": "chat",
    "POST /v1/responses/{id}/cancel": "chat",
    "POST /v1/conversations": "chat",
    "GET /v1/conversations/{id}": "chat",
    "POST /v1/conversations/{id}": "chat",
    "DELETE /v1/conversations/{id}": "chat",
    "POST /v1/conversations/{id}/items": "chat",
    "GET /v1/conversations/{id}/items": "chat",
    "GET /v1/conversations/{id}/items/{item_id}": "chat",
    "DELETE /v1/conversations/{id}/items/{item_id}": "chat",
    "GET /v1/responses/{id}/input_items": "chat",
    "POST /v1/messages": "chat",
    "POST /v1/messages/count_tokens": "chat",
    "PUT /messages/{id}/feedback": "conversations",
    "DELETE /messages/{id}/feedback": "conversations",
    "POST /conversations/{id}/links": "conversations",
    "GET /prompts": "conversations",
    "POST /prompts": "conversations",
    "GET /prompts/{id}": "conversations",
    "PATCH /prompts/{id}": "conversations",
    "DELETE /prompts/{id}": "conversations",
    "POST /prompts/{id}/fill": "conversations",
    "GET /prompts/{id}/versions": "conversations",
    "POST /prompts/{id}/rollback": "conversations",
    "GET /prompts/{id}/shares": "conversations",
    "PUT /prompts/{id}/shares": "conversations",
    "DELETE /prompts/{id}/shares": "conversations",
    "GET /assistants": "conversations",
    "POST /assistants": "conversations",
    "GET /assistants/{id}": "conversations",
    "PATCH /assistants/{id}": "conversations",
    "DELETE /assistants/{id}": "conversations",
    "GET /assistants/{id}/versions": "conversations",
    "POST /assistants/{id}/rollback": "conversations",
    "GET /assistants/{id}/shares": "conversations",
    "PUT /assistants/{id}/shares": "conversations",
    "DELETE /assistants/{id}/shares": "conversations",
    "GET /links": "conversations",
    "DELETE /links/{id}": "conversations",
    "POST /links/view": "conversations",
    "POST /links/copy": "conversations",
    "POST /conversations": "conversations",
    "GET /conversations": "conversations",
    "POST /conversations/bulk": "conversations",
    "POST /projects": "conversations",
    "GET /projects": "conversations",
    "GET /projects/{id}": "conversations",
    "PATCH /projects/{id}": "conversations",
    "DELETE /projects/{id}": "conversations",
    "GET /conversations/{id}": "conversations",
    "PATCH /conversations/{id}": "conversations",
    "DELETE /conversations/{id}": "conversations",
    "POST /conversations/{id}/fork": "conversations",
    "GET /conversations/{id}/messages": "conversations",
    "GET /conversations/{id}/summary": "conversations",
    "POST /conversations/{id}/summarize": "conversations",
    "GET /conversations/search": "conversations",
    "POST /conversations/imports": "conversations",
    "GET /conversations/imports": "conversations",
    "GET /conversations/imports/{id}": "conversations",
    "GET /memories": "conversations",
    "POST /memories": "conversations",
    "PATCH /memories/{id}": "conversations",
    "DELETE /memories/{id}": "conversations",
    "GET /memories/search": "conversations",
    "POST /documents": "documents",
    "POST /documents/uploads": "documents",
    "GET /documents": "documents",
    "GET /documents/search": "documents",
    "GET /documents/{id}": "documents",
    "PATCH /documents/{id}": "documents",
    "DELETE /documents/{id}": "documents",
    "GET /documents/{id}/chunks": "documents",
    "GET /documents/{id}/shares": "documents",
    "PUT /documents/{id}/shares": "documents",
    "DELETE /documents/{id}/shares": "documents",
    "GET /usage": "conversations",
    "GET /tools": "tools",
    "PUT /tools/{id}": "tools",
    "POST /tools/{id}/invoke": "tools",
    "GET /tools/mcp-servers": "tools",
    "POST /tools/mcp-servers": "tools",
    "DELETE /tools/mcp-servers/{id}": "tools",
    "POST /tools/mcp-servers/{id}/refresh": "tools",
    "POST /schedules": "account",
    "GET /schedules": "account",
    "PATCH /schedules/{id}": "account",
    "DELETE /schedules/{id}": "account",
    "GET /schedules/{id}/runs": "account",
    "POST /webhooks": "account",
    "GET /webhooks": "account",
    "PATCH /webhooks/{id}": "account",
    "DELETE /webhooks/{id}": "account",
    "POST /webhooks/{id}/rotate-secret": "account",
    "GET /webhooks/{id}/deliveries": "account",
    "POST /mcp": "tools",
}
WITHOUT = {"POST /auth/logout"}
# What a session may do that lacks the second factor that the deployment demands.
OF_ENROLMENT = {"GET /auth/me", "GET /auth/second-factor", "POST /auth/second-factor", "POST /auth/second-factor/confirm"} | {
    "GET /auth/passkeys",
    "POST /auth/passkeys/begin",
    "POST /auth/passkeys",
}


@pytest.fixture
def ask(stack, request, admin):
    """Call a route as an admin, so that the role never matters, with a token of these scopes."""
    serving = {f"{r.method} {r.path}": r.integration.function for r in stack.api.routes if isinstance(r.integration, LambdaIntegration)}

    def ask(route, scopes):
        method, path = route.split()
        function = request.getfixturevalue(FUNCTIONS[serving[route]])
        caller = replace(admin, claims=admin.claims | {"scope": " ".join(scopes)})
        return function.call(method, path.format(id=UUID(int=1), item_id=1), {} if method in ("POST", "PATCH") else None, as_=caller)

    return ask


def code_of(answer):
    """Return the code of an error, in a problem document or in a vendor's format."""
    error = answer.json.get("error", answer.json)
    return error["details"]["error_code"] if "details" in error else error["code"]


def test_every_guarded_route_has_its_scope(stack):
    guarded = {f"{route.method} {route.path}" for route in stack.api.routes if route.authorizer}

    assert guarded == NEEDED.keys() | WITHOUT


@pytest.mark.parametrize(("route", "scope"), NEEDED.items())
def test_a_token_with_every_scope_but_the_routes_own_is_forbidden(ask, route, scope):
    answer = ask(route, ADMIN_SCOPES - {scope})

    assert (answer.status, code_of(answer)) == (403, "forbidden")


@pytest.mark.parametrize(("route", "scope"), NEEDED.items())
def test_a_token_with_the_routes_own_scope_alone_is_let_in(ask, route, scope):
    assert ask(route, {scope}).status not in (401, 403)


@pytest.mark.parametrize("route", sorted(NEEDED.keys() - OF_ENROLMENT))
def test_a_session_without_the_demanded_second_factor_is_told_to_add_one(ask, route):
    answer = ask(route, {"enrolment"})

    assert (answer.status, code_of(answer)) == (403, "second_factor_needed")


@pytest.mark.parametrize("route", sorted(OF_ENROLMENT))
def test_a_session_without_the_demanded_second_factor_may_add_one(ask, route):
    assert ask(route, {"enrolment"}).status not in (401, 403)


@pytest.mark.parametrize("route", sorted(WITHOUT))
def test_a_token_without_any_scope_can_still_be_given_back(ask, route):
    assert ask(route, set()).status == 204
