"""Microsoft Presidio's analyzer as the only guard, connected to a fake service."""

import pytest

from parley.errors import Unavailable
from parley.llm.model import PresidioGuard
from tests.fakes.vendor import refuses, streams
from tests.fakes.wire_formats.guard_services import asked, beside, presidio_analyzer
from tests.shared.llm.guards.conftest import PRESIDIO


def sent(vendor):
    """Return the text that the model received."""
    (body,) = [body for headers, body in vendor.requests if headers["x-path"].startswith("/v1")]
    return body["messages"][0]["content"]


@pytest.mark.parametrize(
    ("settings", "texts"), [("", ["Ada?"]), ("in_answers = true\n", ["Ada?", "Hello"]), ("in_answers = false\n", ["Ada?"])]
)
def test_it_reads_answers_only_if_the_operator_wants_it(called_behind, vendor, settings, texts):
    vendor.script = beside(streams("Hello"), analyzer=presidio_analyzer("Ada"))
    called_behind(PRESIDIO + settings, "Ada?")

    assert (asked(vendor), sent(vendor)) == (texts, "[PERSON_1]?")


def test_it_looks_only_for_the_entities_that_the_operator_names(called_behind, vendor):
    vendor.script = beside(streams("Hello"), analyzer=presidio_analyzer())
    for entities in ("", 'entities = ["PERSON"]\n'):
        called_behind(PRESIDIO + entities, "Hi")

    assert [body.get("entities") for headers, body in vendor.requests if headers["x-path"] == "/analyze"] == [None, ["PERSON"]]


@pytest.mark.parametrize(("start", "end", "text"), [(0, 2, "[PERSON_1]"), (1, 3, "Hi"), (-1, 2, "Hi")])
def test_it_may_find_a_whole_text_and_nothing_beyond_it(called_behind, vendor, start, end, text):
    vendor.script = beside(streams("Hello"), analyzer=refuses(200, document=[{"start": start, "end": end, "entity_type": "PERSON"}]))
    called_behind(PRESIDIO, "Hi")

    assert sent(vendor) == text


@pytest.mark.parametrize("answer", [refuses(500), refuses(200, document={"error": "?"}), refuses(200, document=[{"start": 0}])])
def test_nonsense_fails_the_call(called_behind, vendor, answer):
    vendor.script = beside(streams("Hello"), analyzer=answer)

    with pytest.raises(Unavailable):
        called_behind(PRESIDIO, "Hi")


@pytest.mark.parametrize(("min_score", "is_valid"), [(-0.1, False), (0, True), (1, True), (1.1, False)])
def test_its_score_is_between_zero_and_one(min_score, is_valid):
    guard = {"url": "http://127.0.0.1:5001"}
    assert PresidioGuard.model_validate(guard).min_score == 0.5
    try:
        PresidioGuard.model_validate(guard | {"min_score": min_score})
    except ValueError:
        assert not is_valid
    else:
        assert is_valid
