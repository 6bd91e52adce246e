"""Errors in OpenAI's format."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from functions.chat.openai_api.errors import error_body, openai_error_response
from parley.clock import utc_now
from parley.errors import Forbidden, InvalidInput, NotFound, ParleyError, Unauthorized, Unavailable
from parley.llm.catalogue import ModelNotFound
from parley.llm.errors import ContextTooLong, ProviderBusy, ProviderRejected
from parley.metering.limits import BudgetExhausted, RateLimited

BROKE = BudgetExhausted(uuid4(), amount_usd=Decimal(1), resets_at=utc_now() + timedelta(days=3))


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (InvalidInput("no"), 400, "invalid_request_error", "invalid_input"),
        (Unauthorized(), 401, "invalid_request_error", "invalid_api_key"),
        (Forbidden(), 403, "permission_error", "forbidden"),
        (NotFound("conversation", 1), 404, "invalid_request_error", "not_found"),
        (ModelNotFound("m", allowed=["n"]), 404, "invalid_request_error", "model_not_found"),
        (ContextTooLong("m", tokens=2, limit=1), 400, "invalid_request_error", "context_length_exceeded"),
        (RateLimited(uuid4(), retry_after_s=1.5), 429, "requests", "rate_limit_exceeded"),
        (BROKE, 429, "insufficient_quota", "insufficient_quota"),
        (ProviderBusy("p", retry_after_s=2), 503, "server_error", "provider_busy"),
        (ParleyError(), 500, "server_error", "server_error"),
    ],
)
def test_an_error_has_openais_status_type_and_code(error, status, kind, code):
    document = error_body(error)["error"]

    assert (openai_error_response(error, "r").status_code, document["type"], document["code"]) == (status, kind, code)


@pytest.mark.parametrize("error", [RateLimited(uuid4(), retry_after_s=1.5), Unavailable("it", retry_after_s=1.5)])
def test_a_refusal_has_retry_after(error):
    assert openai_error_response(error, "r").headers["retry-after"] == "2"


def test_a_spent_budget_has_room_again_next_month():
    assert int(openai_error_response(BROKE, "r").headers["retry-after"]) > 2 * 24 * 3600


@pytest.mark.parametrize("error", [BROKE, ProviderRejected("p", "no")])
def test_the_sdk_is_told_when_a_retry_is_useless(error):
    assert openai_error_response(error, "r").headers["x-should-retry"] == "false"


def test_the_location_of_an_error_is_in_openais_notation():
    document = error_body(InvalidInput("too odd", loc=("body", "messages", 0, "content")))["error"]

    assert (document["param"], document["message"]) == ("messages[0].content", "messages[0].content: too odd")
