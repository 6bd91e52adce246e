"""When a service is asked about which texts, what is remembered, and where a stream is cut: without a service."""

from types import SimpleNamespace

import pytest

from parley.errors import Unavailable
from parley.llm.guards import remote_finder
from parley.llm.guards.remote_finder import RemoteFinder, _bedrock_spans, _open_start, kind_of
from parley.llm.guards.spans import TextSpan


class Service:
    """Records the texts about which it is asked, and finds `secret`. Raises Unavailable while it is away."""

    def __init__(self):
        self.asked, self.is_away = [], False

    def __call__(self, text):
        self.asked.append(text)
        if self.is_away:
            raise Unavailable("service")
        return [TextSpan(start, start + 6, "secret") for start in range(len(text)) if text.startswith("secret", start)]


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now_s=0.5)
    monkeypatch.setattr(remote_finder, "time", SimpleNamespace(monotonic=lambda: clock.now_s))
    return clock


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def finder(service, clock):
    return RemoteFinder("test", service, passes_on_error=True)


def spans_of(finder, text):
    return [(span.start, span.end) for span in finder.find(text).spans]


def test_a_text_is_asked_about_once_in_five_minutes(finder, service, clock):
    assert [spans_of(finder, "a secret"), spans_of(finder, "a secret")] == [[(2, 8)]] * 2
    clock.now_s += 299
    finder.find("a secret")
    assert service.asked == ["a secret"]
    clock.now_s += 2
    finder.find("a secret")

    assert service.asked == ["a secret"] * 2


def test_a_service_that_is_away_is_asked_again_after_ten_seconds(finder, service, clock):
    service.is_away = True
    assert [spans_of(finder, text) for text in ("a secret", "my secret")] == [[], []]
    service.is_away = False
    clock.now_s += 9
    assert spans_of(finder, "a secret") == []
    clock.now_s += 2

    assert (spans_of(finder, "a secret"), service.asked) == ([(2, 8)], ["a secret"] * 2)


def test_a_service_that_is_away_fails_the_call_if_the_guard_passes_nothing(service, clock):
    service.is_away = True

    with pytest.raises(Unavailable):
        RemoteFinder("test", service, passes_on_error=False).find("a secret")


def test_texts_that_passed_together_unread_are_read_when_the_service_is_back(finder, service, clock):
    service.is_away = True
    finder.prepare(["one", "a secret"])
    service.is_away = False
    clock.now_s += 11

    assert (spans_of(finder, "a secret"), service.asked) == ([(2, 8)], ["one\na secret", "a secret"])


def test_the_text_that_was_read_longest_ago_is_forgotten_first(service, clock, monkeypatch):
    monkeypatch.setattr(remote_finder, "CACHE_SIZE", 2)
    finder = RemoteFinder("test", service, passes_on_error=True)
    for text in ("one", "two", "one", "three", "one", "three", "two"):
        finder.find(text)

    assert service.asked == ["one", "two", "three", "two"]


def test_all_texts_of_a_turn_and_their_groups_are_remembered(service, clock, monkeypatch):
    monkeypatch.setattr(remote_finder, "CACHE_SIZE", 1)
    finder = RemoteFinder("test", service, passes_on_error=True)
    texts = ["x" * 201, "y" * 201, "one", "two"]
    finder.prepare(texts)
    asked = list(service.asked)
    for text in texts:
        finder.find(text)

    assert (sorted(asked), service.asked) == (sorted(["x" * 201, "y" * 201, "one\ntwo"]), asked)


@pytest.mark.parametrize(
    ("lengths", "asked"),
    [
        ([200, 200], [401]),
        ([201, 200, 199], [201, 400]),
        ([199, 199, 199, 199, 200], [1000]),
        ([199, 199, 199, 200, 200], [200, 800]),
        ([200] * 8, [803, 803]),
        ([], []),
    ],
)
def test_short_texts_are_asked_about_in_groups_of_a_thousand_characters(finder, service, lengths, asked):
    finder.prepare(chr(ord("a") + number) * length for number, length in enumerate(lengths))

    assert sorted(map(len, service.asked)) == asked


def test_blank_texts_are_not_asked_about_and_equal_texts_once(finder, service):
    finder.prepare(["", " \n", "one", "one"])

    assert (spans_of(finder, " \n"), service.asked) == ([], ["one"])


def test_the_texts_of_a_group_are_asked_about_one_by_one_only_if_something_is_found(finder, service):
    finder.prepare(["one", "two", "x" * 201])
    finder.prepare(["three", "a secret"])

    assert sorted(service.asked) == sorted(["one\ntwo", "x" * 201, "three\na secret", "three", "a secret"])
    assert (spans_of(finder, "a secret"), spans_of(finder, "one"), len(service.asked)) == ([(2, 8)], [], 5)


@pytest.mark.parametrize(
    ("length", "parts"),
    [(1, [1]), (128, [128]), (25_000, [25_000]), (25_001, [25_000, 129]), (49_872, [25_000, 25_000]), (49_873, [25_000, 25_000, 129])],
)
def test_a_long_text_is_read_in_parts_that_begin_with_the_end_of_the_part_before(finder, service, length, parts):
    finder.find("x" * length)

    assert list(map(len, service.asked)) == parts


def test_a_secret_in_a_later_part_is_found_at_its_place(finder):
    text = "x" * 24_995 + "secret" + "y" * 100

    assert spans_of(finder, text) == [(24_995, 25_001)]


@pytest.mark.parametrize(("length", "asked", "open_start"), [(999, 0, 0), (1_000, 1, 872)])
def test_a_stream_is_held_back_until_it_has_a_window(finder, service, length, asked, open_start):
    found = finder.find("x" * length, is_end=False)

    assert (len(service.asked), found.open_start) == (asked, open_start)
    assert finder.find("x" * length).open_start == length


@pytest.mark.parametrize(
    ("space_at", "spans", "cut"),
    [
        (None, [], 972),
        (960, [], 961),
        (972, [], 972),
        (500, [], 501),
        (499, [], 972),
        (None, [(600, 980)], 600),
        (None, [(500, 980)], 500),
        (None, [(499, 980)], 980),
        (None, [(400, 980), (980, 990)], 980),
        (None, [(400, 980), (900, 990)], 990),
        (None, [(600, 972)], 972),
        (None, [(972, 990)], 972),
    ],
)
def test_a_window_is_cut_behind_a_word_and_not_within_a_span_unless_the_span_takes_half_of_it(space_at, spans, cut):
    text = "x" * 1_100 if space_at is None else "x" * space_at + " " + "x" * (1_099 - space_at)

    assert _open_start(text, [TextSpan(start, end, "secret") for start, end in spans]) == cut


# Answers of services


def assessed(action="GUARDRAIL_INTERVENED", **policy):
    return {"action": action, "assessments": [{"sensitiveInformationPolicy": policy}] if policy else []}


@pytest.mark.parametrize(
    ("response", "spans"),
    [
        (assessed("NONE"), []),
        (assessed(), [(0, 11, "content", "block")]),
        (
            assessed(piiEntities=[{"type": "NAME", "match": "Ada", "action": "ANONYMIZED"}]),
            [(0, 3, "name", "mask"), (8, 11, "name", "mask")],
        ),
        (assessed(regexes=[{"name": "Order No", "match": "met", "action": "ANONYMIZED"}]), [(4, 7, "order_no", "mask")]),
        (assessed(regexes=[{"match": "met", "action": "ANONYMIZED"}]), [(4, 7, "data", "mask")]),
        (assessed(piiEntities=[{"type": "NAME", "match": "Bob", "action": "ANONYMIZED"}]), [(0, 11, "content", "block")]),
        (assessed(piiEntities=[{"type": "NAME", "match": "", "action": "ANONYMIZED"}]), [(0, 11, "content", "block")]),
        (
            assessed(piiEntities=[{"type": "NAME", "match": match, "action": "ANONYMIZED"} for match in ("Bob", "met")]),
            [(0, 11, "name", "block"), (4, 7, "name", "mask")],
        ),
        (assessed("NONE", piiEntities=[{"type": "NAME", "match": "Bob", "action": "NONE"}]), []),
        (assessed(piiEntities=[{"type": "NAME", "match": "met", "action": "BLOCKED"}]), [(0, 11, "personal_data", "block")]),
    ],
)
def test_what_a_guardrail_says_is_masked_blocked_or_reported(response, spans):
    found = _bedrock_spans("Ada met Ada", response)

    assert [(span.start, span.end, span.kind, span.action) for span in found] == spans


def test_a_kind_of_data_has_thirty_two_letters_at_most():
    assert [kind_of("US_SSN"), kind_of("Order No 7"), kind_of("A" * 33)] == ["us_ssn", "order_no__", "a" * 32]
