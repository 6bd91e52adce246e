"""The order of the events and the values they take from earlier answers."""

import base64
import json
from pathlib import Path

import pytest

from local.sam_comparison.answers import FunctionAnswer
from local.sam_comparison.comparison import functions_by_folder
from local.sam_comparison.scenario import (
    ACCESS_TOKEN,
    CONVERSATION_ID,
    DOCUMENT_ID,
    MCP_SERVER_ID,
    REFRESH_TOKEN,
    SESSION_ID,
    USER_ID,
    ScenarioState,
    ScenarioStep,
    read_steps,
)

ROOT = Path(__file__).parents[3]


def token(claims):
    return f"eyJhbGciOi.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.c2ln"


@pytest.fixture
def steps():
    return read_steps(ROOT / "events")


@pytest.fixture
def registered():
    body = {"user": {"id": "the-user"}, "access_token": token({"sid": "the-session"}), "refresh_token": "prt_real"}
    state = ScenarioState()
    state.learn(ScenarioStep("auth_register", ""), FunctionAnswer("201", json.dumps(body)))
    return state


def test_every_event_is_a_step_of_a_function(steps):
    assert {step.event for step in steps} == {path.stem for path in (ROOT / "events").glob("*.json")}
    assert {step.folder for step in steps} == set(functions_by_folder(ROOT / "template.yaml"))


def test_a_visit_begins_with_an_account_and_ends_with_the_session(steps):
    titles = [step.title for step in steps]

    assert titles[:2] == ["auth_register", "auth_login"]
    assert titles[2:4] == ["authorizer_token", "authorizer_token, real token"]
    assert titles[4:7] == ["chat_message", "documents_upload", "tools_add_mcp_server"]
    assert titles[-2:] == ["conversation_delete", "auth_logout"]


def test_a_chosen_event_comes_after_those_that_prepare_it():
    steps = read_steps(ROOT / "events", only=["chat_turn", "auth_refresh"])

    assert {step.event for step in steps[:7]} >= {"auth_register", "chat_message", "documents_upload", "tools_add_mcp_server"}
    assert [step.title for step in steps[7:]] == ["auth_refresh", "auth_refresh, real token", "chat_turn"]


def test_an_event_without_a_file_is_named():
    with pytest.raises(ValueError, match=r"events/ has no event chat_fly"):
        read_steps(ROOT / "events", only=["chat_message", "chat_fly"])


def test_events_with_a_stand_in_for_a_token_run_with_a_real_one_too(steps):
    assert [step.event for step in steps if step.has_tokens] == ["authorizer_token", "auth_refresh"]


def test_later_events_carry_what_registering_gave(registered):
    assert registered.fill(ScenarioStep("auth_me", f"{USER_ID} {SESSION_ID}")) == "the-user the-session"


def test_a_token_stays_a_stand_in_unless_the_step_has_tokens(registered):
    text = f"{ACCESS_TOKEN} {REFRESH_TOKEN}"

    assert registered.fill(ScenarioStep("auth_refresh", text)) == text
    assert "prt_real" in registered.fill(ScenarioStep("auth_refresh", text, has_tokens=True))


def test_the_chats_conversation_is_the_one_that_later_events_name(registered):
    found = "01996f6a-aaaa-7000-8000-00000000000a"
    registered.learn(
        ScenarioStep("chat_message", ""), FunctionAnswer("200", f'event: turn.started\ndata: {{"conversation_id":"{found}"}}\n\n')
    )

    assert registered.fill(ScenarioStep("conversation_get", CONVERSATION_ID)) == found
    assert registered.known == {"the-user": "user", "the-session": "session", found: "conversation"}


@pytest.mark.parametrize(
    ("event", "status", "stand_in"), [("documents_upload", "202", DOCUMENT_ID), ("tools_add_mcp_server", "201", MCP_SERVER_ID)]
)
def test_what_was_made_is_what_later_events_name(registered, event, status, stand_in):
    registered.learn(ScenarioStep(event, ""), FunctionAnswer(status, '{"id": "what-was-made"}'))

    assert registered.fill(ScenarioStep("documents_get", f"/{stand_in}")) == "/what-was-made"


def test_an_answer_that_refuses_teaches_nothing():
    state = ScenarioState()
    state.learn(ScenarioStep("auth_register", ""), FunctionAnswer("409", "{}"))
    state.learn(ScenarioStep("chat_message", ""), FunctionAnswer("401", "{}"))

    assert state.ids == {}
