"""The count of a prompt's tokens, before it is sent."""

import pytest


@pytest.mark.parametrize("text", ["hello", "Wie viele Zeichen sind das? " * 20, "数え方は一つ" * 30])
def test_both_apis_count_the_same_prompt_alike(chat, alice, text):
    message = chat.post("/v1/messages/count_tokens", {"model": "offline", "messages": [{"role": "user", "content": text}]}, as_=alice)
    response = chat.post("/v1/responses/input_tokens", {"model": "offline", "input": text}, as_=alice)

    assert message.json["input_tokens"] == response.json["input_tokens"] > 0
