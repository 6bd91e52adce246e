"""Token counts without the provider: estimates are close, and bounds are never too low."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.llm.messages import Image, Message, ModelRequest, ToolCall, ToolDefinition, ToolResult
from parley.llm.tokens import count_tokens, estimate_request_tokens, estimate_tokens, estimate_usage, max_request_tokens

# Counts of OpenAI's own tokenizer o200k_base (models since GPT-4o), from its documentation and cookbook.
KNOWN = {"tiktoken is great!": 6, "antidisestablishmentarianism": 6, "2 + 2 = 4": 7, "お誕生日おめでとう": 8}


@pytest.mark.parametrize(("words", "tokens"), KNOWN.items())
def test_texts_are_counted_as_openai_counts_them(words, tokens):
    assert count_tokens(words) == tokens


@given(st.text(max_size=300))
def test_no_text_has_more_tokens_than_the_bound(words):
    assert count_tokens(words) <= max_request_tokens(ModelRequest([Message("user", words)]))


def test_everything_that_is_sent_is_counted():
    bare = ModelRequest([Message("user", "weather?")])
    tools = [ToolDefinition("weather", "Tells the weather of a place.", {"type": "object", "properties": {"place": {"type": "string"}}})]
    calls = [Message("assistant", [ToolCall("1", "weather", '{"place": "Oslo"}')]), Message("tool", [ToolResult("1", "rain")])]
    larger = [
        ModelRequest(bare.messages, system="Answer in one word."),
        ModelRequest(bare.messages, tools=tools),
        ModelRequest([*bare.messages, *calls]),
        ModelRequest(bare.messages, facts=["They live in Oslo."]),
    ]
    for request in larger:
        assert estimate_usage(request, "").input_tokens >= estimate_usage(bare, "").input_tokens + 4
        assert max_request_tokens(request) > max_request_tokens(bare)


def test_what_vendors_add_to_messages_images_and_tools_is_counted():
    message, image = Message("user", "hi"), Message("user", [Image("image/png", b"")])
    tool = ToolDefinition("weather", "Tells the weather.", {"type": "object"})
    bare, full = ModelRequest([message]), ModelRequest([message, image], tools=[tool])

    assert estimate_usage(bare, "").input_tokens == count_tokens("hi") + 4 + 3
    assert estimate_usage(full, "").input_tokens == count_tokens("hi", tool.text) + 2 * 4 + 1000 + 12 + 3
    assert estimate_request_tokens(full) == estimate_tokens("hi") + estimate_tokens(tool.text) + 1000 + 3
    assert max_request_tokens(bare) == len("hi") + 16 + 1000
    assert max_request_tokens(full) == len("hi") + len(tool.text) + 2 * 16 + 5000 + 64 + 1000


@pytest.mark.parametrize(("words", "tokens"), [("", 5), ("ab", 5), ("abc", 6), ("ää", 6), ("\ud83d", 6)])
def test_a_quick_estimate_takes_three_bytes_for_a_token(words, tokens):
    assert estimate_tokens(words) == tokens


def test_an_estimated_usage_is_flagged_and_includes_the_answer():
    usage = estimate_usage(ModelRequest([Message("user", "hi")]), "tiktoken is great!")

    assert (usage.is_estimated, usage.output_tokens) == (True, 6)


def test_a_system_prompt_counts_as_a_message():
    question, system = Message("user", "hi"), "Be brief."
    as_prompt, as_message = ModelRequest([question], system=system), ModelRequest([Message("user", system), question])

    assert estimate_usage(as_prompt, "").input_tokens == estimate_usage(as_message, "").input_tokens


def test_a_lone_surrogate_does_not_break_the_count():
    assert count_tokens("half \ud83d pair") > 0


def test_the_tables_are_not_loaded_before_they_are_needed():
    code = "import json, sys; import parley.llm.tokens, parley.llm.router; print(json.dumps('toktok' in sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert json.loads(printed) is False
