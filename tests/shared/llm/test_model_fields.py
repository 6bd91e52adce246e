"""The fields of models, guards and strategies in the catalogue, and of messages: their bounds, and their values if nothing is said."""

import pytest
from pydantic import ValidationError

from parley.llm import catalogue
from parley.llm.catalogue import Catalogue, ModelNotFound, NoModel, Strategy, line_of
from parley.llm.messages import Message, ModelRequest, OutputSchema, TextDelta, ToolDefinition, ToolResult, Usage
from parley.llm.model import BedrockGuard, Model, ModelCall, PersonalDataGuard, PresidioGuard, WordGuard

MODEL = {"provider": "offline", "name": "m"}
PRESIDIO = {"url": "http://127.0.0.1:5001"}


@pytest.mark.parametrize(
    ("kind", "fields", "name", "accepted", "refused"),
    [
        (Model, MODEL, "name", "x", ""),
        (Model, MODEL, "context_tokens", 1, 0),
        (Model, MODEL, "max_output_tokens", 1, 0),
        (Model, MODEL, "dimensions", 1, 0),
        (Model, MODEL, "dimensions", 4_000, 4_001),
        (Model, MODEL, "input_usd_per_mtok", 0, -0.1),
        (Model, MODEL, "cached_input_usd_per_mtok", 0, -0.1),
        (Model, MODEL, "cache_write_usd_per_mtok", 0, -0.1),
        (Model, MODEL, "output_usd_per_mtok", 0, -0.1),
        (Model, MODEL, "timeout_s", 0.1, 0),
        (Model, MODEL, "pause_ms", 0, -1),
        (WordGuard, {}, "words", ["ab"], ["a"]),
        (WordGuard, {}, "words", ["a" * 64], ["a" * 65]),
        (WordGuard, {}, "words", ["word"], []),
        (WordGuard, {}, "words", ["word"] * 1_000, ["word"] * 1_001),
        (PresidioGuard, PRESIDIO, "timeout_s", 0.1, 0),
        (PresidioGuard, PRESIDIO, "timeout_s", 60, 60.1),
        (PresidioGuard, PRESIDIO, "entities", ["PERSON"] * 100, ["PERSON"] * 101),
        (PresidioGuard, PRESIDIO, "min_score", 0, -0.1),
        (PresidioGuard, PRESIDIO, "min_score", 1, 1.1),
        (Strategy, {"kind": "fallback"}, "models", ["a"], []),
        (Strategy, {"kind": "fixed"}, "models", ["a"], ["a", "b"]),
        (Strategy, {"kind": "fallback"}, "models", ["a", "b"], ["a", "a"]),
        (Strategy, {"kind": "weighted", "models": ["a", "b"]}, "weights", [0.5, 0.5], [-1, 2]),
        (Strategy, {"kind": "weighted", "models": ["a", "b"]}, "weights", [0, 0.1], [0, 0]),
        (Strategy, {"kind": "weighted", "models": ["a", "b"]}, "weights", [2, 1], [1]),
        (Strategy, {"kind": "fallback", "models": ["a", "b"]}, "weights", None, [1, 1]),
    ],
)
def test_a_field_may_reach_its_bound_and_not_exceed_it(kind, fields, name, accepted, refused):
    kind(**fields | {name: accepted})
    with pytest.raises(ValidationError, match=name):
        kind(**fields | {name: refused})


def test_a_model_without_further_fields_costs_nothing_and_may_take_two_minutes():
    model = Model(**MODEL)

    assert (model.context_tokens, model.max_output_tokens, model.timeout_s, model.pause_ms) == (8_192, 4_096, 120, 0)
    assert (model.input_usd_per_mtok, model.output_usd_per_mtok, model.fixed_temperature) == (0, 0, False)
    assert ModelCall("m", model).waited_s == 0


def test_guards_restore_what_they_mask_and_only_a_guardrail_reads_answers_by_itself():
    personal, presidio, bedrock = PersonalDataGuard(), PresidioGuard(**PRESIDIO), BedrockGuard(guardrail="g", version="1")

    assert [guard.restores for guard in (personal, presidio, bedrock)] == [True, True, True]
    assert [guard.in_answers for guard in (personal, presidio, bedrock)] == [False, False, True]
    assert [guard.timeout_s for guard in (presidio, bedrock)] == [5, 5]


def test_a_message_or_request_says_nothing_that_its_author_did_not_say():
    request = ModelRequest([Message("user", "hi")])
    wishes = (request.client_runs_tools, request.shows_reasoning, request.shows_call_deltas, request.caches_messages)

    assert ToolResult("c", "noon") == ToolResult("c", "noon", is_error=False)
    assert TextDelta("No.") == TextDelta("No.", is_refusal=False)
    assert Usage() == Usage(0, 0, 0, 0, is_estimated=False, reasoning_tokens=0)
    assert wishes == (False, False, False, False)
    assert (ToolDefinition("t", "T.", {}).strict, OutputSchema("o", {}).strict) == (False, True)


def test_tools_are_equal_if_their_fields_are_and_the_text_is_written_once():
    tool = ToolDefinition("clock", "Tells the time.", {"type": "object", "required": []})

    assert tool == ToolDefinition("clock", "Tells the time.", {"required": [], "type": "object"})
    assert repr(tool).count("Tells the time.") == 1


# Strategies


@pytest.mark.parametrize(
    ("weights", "share", "order"),
    [
        ([1, 3, 2], 0.0, ["a", "b", "c"]),
        ([1, 3, 2], 0.16, ["a", "b", "c"]),
        ([1, 3, 2], 0.17, ["b", "c", "a"]),
        ([1, 3, 2], 0.67, ["c", "b", "a"]),
        ([1, 2, 1], 0.25, ["b", "a", "c"]),
        ([0, 0.5, 0.5], 0.0, ["b", "c", "a"]),
        ([0, 0.5, 0.5], 0.99, ["c", "b", "a"]),
        ([1, 1, 0], 1.0, ["b", "a", "c"]),
        (None, 0.32, ["a", "b", "c"]),
        (None, 0.34, ["b", "a", "c"]),
        (None, 0.67, ["c", "a", "b"]),
    ],
)
def test_the_first_model_is_drawn_by_weight_and_the_others_follow_by_weight(monkeypatch, weights, share, order):
    monkeypatch.setattr(catalogue.random, "random", lambda: share)

    assert Strategy(kind="weighted", models=["a", "b", "c"], weights=weights).drawn() == order


def test_a_missing_model_is_the_servers_fault_and_an_unknown_one_the_clients():
    unknown, none = ModelNotFound("gpt", allowed=["a", "b"]), ModelNotFound("gpt", allowed=[])

    assert (NoModel("x").status, NoModel("x").code, NoModel("x").retry_after_s) == (503, "no_model", 60.0)
    assert (unknown.status, unknown.public_message) == (404, "Unknown or unavailable model 'gpt'. Available models: a, b.")
    assert none.public_message.endswith("Available models: none.")


RERANKER = """
[roles]
chat = "m"
rerank = "r"
[models.m]
provider = "offline"
name = "m"
[models.r]
provider = "offline"
name = "r"
kind = "rerank"
api_key = "env:KEY"
"""


def test_a_reranker_needs_a_role_and_its_key():
    with_role, without = (Catalogue.parse(text, source="test") for text in (RERANKER, RERANKER.replace('rerank = "r"', "")))

    assert with_role.reranking({"KEY": "k"}).name == "r"
    for models, environment in ((with_role, {}), (without, {"KEY": "k"})):
        with pytest.raises(NoModel, match="rerank"):
            models.reranking(environment)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("roles",), 3),
        (("roles", "chat"), 4),
        (("models", "a b", "name"), 7),
        (("models", "a b", "guard"), 6),
        (("models", "a b", "guard", "words", 0), 6),
        (("models",), 1),
        ((), 1),
    ],
)
def test_a_mistake_is_in_the_line_of_its_field_or_of_the_nearest_table(path, line):
    text = '# Models\n\n[roles]\nchat = "a b"\n\n[models."a b"]\nname = "m"\n'

    assert line_of(text, path) == line
