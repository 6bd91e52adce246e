"""A blocked message by the routes that call models: it costs nothing, reaches no vendor, and no client can allow it."""

from dataclasses import replace

import pytest

from parley.llm.catalogue import Catalogue
from tests.conftest import ROOT
from tests.fakes.vendor import replies, running_vendor

GUARD = '[guard.words]\nwords = ["nightingale"]\n[guard.personal_data]\n'
WORD = "a nightingale"
MESSAGES = [{"role": "user", "content": WORD}]


@pytest.fixture
def guarded(chat):
    """The chat function with guards in its catalogue."""
    from functions.chat import app

    state, catalogue = app.app._app.state, Catalogue.parse(GUARD + (ROOT / "tests" / "models.toml").read_text(), source="test")
    before = state.services
    state.services = replace(before, catalogue=lambda: catalogue)
    yield chat
    state.services = before


@pytest.fixture
def embedding_vendor(guarded):
    """A vendor of embeddings, as the model `remote` of the guarded catalogue."""
    from functions.chat import app

    state = app.app._app.state
    with running_vendor() as vendor:
        vectors = [{"index": number, "embedding": [1, 0]} for number in (0, 1)]
        vendor.script = replies({"data": vectors, "usage": {"prompt_tokens": 4}})
        remote = f'provider = "openai-compatible"\nname = "m"\nkind = "embedding"\ndimensions = 2\nbase_url = "{vendor.url}"\n'
        text = f"{GUARD}[models.remote]\n{remote}{(ROOT / 'tests' / 'models.toml').read_text()}"
        catalogue = Catalogue.parse(text, source="test")
        state.services = replace(state.services, catalogue=lambda: catalogue)
        yield vendor


@pytest.mark.parametrize(
    ("route", "body", "status"),
    [
        ("/chat", {"message": WORD, "stream": False}, 422),
        ("/v1/chat/completions", {"model": "offline", "messages": MESSAGES}, 400),
        ("/v1/responses", {"model": "offline", "input": WORD}, 400),
        ("/v1/messages", {"model": "offline", "max_tokens": 9, "messages": MESSAGES}, 400),
    ],
)
def test_a_blocked_message_is_refused_in_each_dialect(guarded, alice, route, body, status):
    answer = guarded.post(route, body, as_=alice)

    assert answer.status == status
    assert "guard_blocked" in answer.body.decode()


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("/chat", {"message": WORD}),
        ("/v1/chat/completions", {"model": "offline", "messages": MESSAGES, "stream": True}),
        ("/v1/responses", {"model": "offline", "input": WORD, "stream": True}),
        ("/v1/messages", {"model": "offline", "max_tokens": 9, "messages": MESSAGES, "stream": True}),
    ],
)
def test_a_stream_ends_with_the_refusal(guarded, alice, route, body):
    assert "guard_blocked" in guarded.post(route, body, as_=alice).body.decode()


def test_a_refused_message_costs_nothing(guarded, alice, row):
    guarded.post("/chat", {"message": WORD}, as_=alice)

    assert tuple(row("SELECT sum(input_tokens + output_tokens), sum(cost_usd) FROM usage WHERE user_id = :id", id=alice.id)) == (0, 0)


def test_the_conversation_goes_on_after_a_refused_message(guarded, alice):
    refused = guarded.post("/chat", {"message": WORD}, as_=alice)
    conversation_id = refused.events[0][1]["conversation_id"]
    answer = guarded.post("/chat", {"message": "Hello", "conversation_id": conversation_id}, as_=alice)

    assert answer.events[-1][0] == "turn.completed"


def test_what_a_guard_found_is_in_the_deployments_audit_without_the_text(guarded, alice, row):
    guarded.post("/chat", {"message": f"{WORD} {alice.email}"}, as_=alice)
    found = row(
        "SELECT outcome, actor_id, CAST(detail AS text) AS detail FROM deployment_audit WHERE action = 'guard_hit' AND account_id = :id",
        id=alice.id,
    )

    assert (found.outcome, found.actor_id) == ("refused", alice.id)
    assert '"kind": "word"' in found.detail
    assert "nightingale" not in found.detail
    assert alice.email not in found.detail


def test_what_a_guard_found_in_texts_to_embed_is_in_the_audit_too(guarded, alice, row, embedding_vendor):
    answer = guarded.post("/v1/embeddings", {"model": "remote", "input": [WORD, "a wren"]}, as_=alice)
    found = row("SELECT outcome, detail FROM deployment_audit WHERE action = 'guard_hit' AND account_id = :id", id=alice.id)

    assert (answer.status, found.outcome) == (200, "done")
    assert (found.detail["purpose"], [hit["kind"] for hit in found.detail["hits"]]) == ("embedding", ["word"])
    assert "nightingale" not in str(embedding_vendor.requests)


@pytest.mark.parametrize("header", ["X-Guard", "X-Parley-Guard", "X-Guardrails", "X-Amzn-Bedrock-Trace"])
def test_no_header_of_a_client_allows_a_blocked_message(guarded, alice, header):
    assert guarded.post("/chat", {"message": WORD, "stream": False}, as_=alice, headers={header: "off"}).status == 422
