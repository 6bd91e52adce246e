"""The stored form of a completion."""

from functions.chat.completions.completion import CompletionStream
from functions.chat.completions.idempotent_completion import StoredCompletion
from parley.llm.messages import Finished, TextDelta, ToolCall, Usage


def test_a_stored_completion_replays_text_tool_calls_and_usage():
    finished = Finished("tool_calls", Usage(7, 5, cached_input_tokens=2))
    call = ToolCall("c1", "search", "{}")
    completion = CompletionStream(iter(()), lambda: "m")
    stored = StoredCompletion.of(completion, [TextDelta("a"), TextDelta("b"), call], finished)
    replayed = StoredCompletion.model_validate(stored.model_dump(mode="json")).replay()

    assert list(replayed.events) == [TextDelta("ab"), call, finished]
    assert (replayed.id, replayed.created, replayed.model()) == (completion.id, completion.created, "m")
