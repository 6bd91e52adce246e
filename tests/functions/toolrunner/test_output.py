import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from functions.toolrunner.execution import UnusableOutput, render_output, run_tool
from functions.toolrunner.registry import Registry
from functions.toolrunner.requests import RunRequest
from parley.ids import new_id
from parley.tools.decorator import tool
from parley.tools.guarded_http.client import GuardedHttp
from parley.tools.outcome import MAX_RESULT_BYTES, truncate_result


class Found(BaseModel):
    name: str


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("é", "é"),
        (None, "null"),
        (5, "5"),
        ({"a": ["ü"]}, '{"a": ["ü"]}'),
        (Found(name="x"), '{"name": "x"}'),
        ("a\0b", "ab"),
        ("a\ud800b", "a\ufffdb"),
    ],
)
def test_text_stays_and_the_rest_is_json(output, text):
    assert render_output(output) == text


@pytest.mark.parametrize("output", [object(), b"bytes", {1, 2}, float("inf"), {(1, 2): 3}])
def test_what_is_neither_is_refused(output):
    with pytest.raises(UnusableOutput):
        render_output(output)


@given(st.text(alphabet="aé€😀", min_size=0, max_size=200), st.integers(60, 300))
def test_what_is_cut_keeps_to_its_bytes_and_its_letters(text, limit):
    truncated = truncate_result(text, max_bytes=limit)

    assert len(truncated.encode()) <= limit
    assert truncated == text or text.startswith(truncated.split("\n[Truncated")[0])


def test_what_just_fits_is_not_cut():
    assert render_output("x" * MAX_RESULT_BYTES) == "x" * MAX_RESULT_BYTES


@tool
def explode() -> str:
    """Fail with a very long reason."""
    raise ValueError("x" + "ä" * 100_000)


def test_the_reason_of_a_failure_is_cut_to_2000_bytes():
    request = RunRequest(op="run", name="explode", arguments={}, user_id=new_id())
    failure = run_tool(Registry([explode]), request, GuardedHttp())

    assert not failure["ok"]
    assert len(failure["content"].encode()) <= 2000
    assert failure["content"].startswith("The tool failed (ValueError: xää")
