"""A conversation of an import: its messages, their order and dates, and what is cut or left out."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from functions.ingest.imports import draft
from functions.ingest.imports.archive import Archive
from functions.ingest.imports.draft import ConversationDraft, ExportSource, get_moment, path_to
from functions.ingest.imports.errors import LeftOut, TooLargeToRead
from parley.clock import utc_now
from parley.llm.tokens import estimate_tokens
from tests.support.images import PNG_DATA_URL

USER = uuid4()
DAY = datetime(2025, 8, 24, tzinfo=UTC)


@pytest.fixture
def source(tmp_path):
    return ExportSource(USER, Archive(str(tmp_path / "none"), None))


@pytest.fixture
def new_draft(source):
    def make(*, title="", created_at=None, updated_at=None, id="c"):
        return ConversationDraft(source, "acme", id, title=title, created_at=created_at, updated_at=updated_at)

    return make


def add(made, *texts, role="user", **fields):
    for text in texts:
        made.add(role, text, **{"id": "", "created_at": DAY} | fields)


def told(read):
    return [(message.role, message.text) for message in read.conversation.messages]


def counted(source):
    return {code: count for code, count in source.left_out.items() if count}


# Messages


def test_messages_are_numbered_from_one_and_have_their_tokens(new_draft):
    made = new_draft()
    add(made, " one ", "two two")
    messages = made.finish().conversation.messages

    assert [(message.seq, message.text, message.tokens) for message in messages] == [
        (1, "one", estimate_tokens("one")),
        (2, "two two", estimate_tokens("two two")),
    ]
    assert len({message.id for message in messages}) == 2


def test_only_consecutive_answers_are_joined(new_draft):
    made = new_draft()
    for role, text in (("user", "a"), ("user", "b"), ("assistant", "c"), ("assistant", "d"), ("user", "e"), ("assistant", "f")):
        add(made, text, role=role)

    assert told(made.finish()) == [("user", "a"), ("user", "b"), ("assistant", "c\n\nd"), ("user", "e"), ("assistant", "f")]


def test_an_answers_model_is_kept_and_a_questions_is_not(new_draft):
    made = new_draft()
    for role, model in (("user", "m"), ("assistant", "m" * 300), ("user", None), ("assistant", "")):
        add(made, "text", role=role, model=model)

    assert [message.model for message in made.finish().conversation.messages] == [None, "m" * 200, None, None]


def test_an_image_without_a_text_is_a_message_and_a_missing_one_is_counted(new_draft, source):
    made = new_draft()
    add(made, "", image_pointers=[PNG_DATA_URL, "file-service://file-none"])
    add(made, " ", image_pointers=["file-service://file-none"])
    read = made.finish()
    (message,) = read.conversation.messages

    assert [(part["type"], part["key"]) for part in message.parts] == [("image", key) for key in read.images]
    assert str(USER) in message.parts[0]["key"]
    assert counted(source) == {"images": 2}


@pytest.mark.parametrize(("length", "cut"), [(400_000, {}), (400_001, {"text_cut": 1})])
def test_a_text_is_cut_only_if_it_is_longer_than_allowed(new_draft, source, length, cut):
    made = new_draft()
    add(made, "x" * length)

    assert (told(made.finish()), counted(source)) == ([("user", "x" * 400_000)], cut)


@pytest.mark.parametrize(("length", "cut"), [(199_998, {}), (199_999, {"text_cut": 1})])
def test_answers_that_are_joined_are_cut_as_one_text(new_draft, source, length, cut):
    made = new_draft()
    add(made, "x" * 200_000, "y" * length, role="assistant")
    ((_, text),) = told(made.finish())

    assert (text, counted(source)) == ("x" * 200_000 + "\n\n" + "y" * 199_998, cut)


def test_a_conversation_has_as_many_messages_as_allowed_and_no_more(new_draft, monkeypatch):
    monkeypatch.setattr(draft, "MAX_MESSAGES", 2)
    made = new_draft()
    add(made, "one", "two")
    assert len(made.finish().conversation.messages) == 2

    with pytest.raises(TooLargeToRead):
        add(made, "three")


def test_a_conversation_without_an_id_is_left_out(new_draft):
    with pytest.raises(LeftOut):
        new_draft(id="")


@pytest.mark.parametrize(
    ("title", "text", "shown", "is_automatic"),
    [
        (" Puffins ", "Hi", "Puffins", False),
        ("P" * 300, "Hi", "P" * 200, False),
        ("", " Where  do\npuffins nest? ", "Where do puffins nest?", True),
        ("", "x" * 70, "x" * 60, True),
    ],
)
def test_a_conversation_without_a_title_is_called_after_its_first_text(new_draft, title, text, shown, is_automatic):
    made = new_draft(title=title)
    add(made, "", image_pointers=[PNG_DATA_URL])
    add(made, text, "And now?")
    conversation = made.finish().conversation

    assert (conversation.title, conversation.is_title_automatic) == (shown, is_automatic)


def test_a_conversation_of_images_alone_has_no_title(new_draft):
    made = new_draft()
    add(made, "", image_pointers=[PNG_DATA_URL])

    assert made.finish().conversation.title is None


# Dates


@pytest.mark.parametrize(
    ("days", "created", "updated", "expected"),
    [
        ((1, 2), None, None, (1, 2)),
        ((2, 1), None, None, (1, 2)),
        ((1, 2), 0, 3, (0, 3)),
        ((1, 2), 5, 0, (1, 2)),
    ],
)
def test_a_conversation_lasts_from_its_earliest_to_its_latest_date(new_draft, days, created, updated, expected):
    def on(day):
        return None if day is None else DAY + timedelta(days=day)

    made = new_draft(created_at=on(created), updated_at=on(updated))
    for day in days:
        add(made, "text", created_at=on(day))
    conversation = made.finish().conversation

    assert (conversation.created_at, conversation.updated_at) == tuple(map(on, expected))


def test_a_message_without_a_date_has_that_of_the_message_before_or_of_the_conversation(new_draft):
    made = new_draft(created_at=DAY)
    for day in (None, DAY + timedelta(days=1), None):
        add(made, "text", created_at=day)

    assert [(message.created_at - DAY).days for message in made.finish().conversation.messages] == [0, 1, 1]


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (1_756_000_000.25, datetime(2025, 8, 24, 1, 46, 40, 250_000, UTC)),
        (1_756_000_000_250, datetime(2025, 8, 24, 1, 46, 40, 250_000, UTC)),
        ("2025-08-24T01:46:40+02:00", datetime(2025, 8, 23, 23, 46, 40, tzinfo=UTC)),
        ("2025-08-24T01:46:40", datetime(2025, 8, 24, 1, 46, 40, tzinfo=UTC)),
        (946_684_800, datetime(2000, 1, 1, tzinfo=UTC)),
        (946_684_799, None),
        ("yesterday", None),
        (1e300, None),
        (None, None),
        ([1_756_000_000], None),
    ],
)
def test_a_date_is_seconds_milliseconds_or_iso_8601(value, moment):
    assert get_moment({"at": value}, "at") == moment


@pytest.mark.parametrize(("hours", "is_kept"), [(23, True), (25, False)])
def test_a_date_may_be_of_another_time_zone_and_not_of_the_future(hours, is_kept):
    moment = utc_now() + timedelta(hours=hours)

    assert (get_moment({"at": moment.isoformat()}, "at") == moment) is is_kept


def test_the_first_plausible_date_counts():
    assert get_moment({"a": "no", "b": 946_684_800, "c": 1_756_000_000}, "a", "b", "c") == datetime(2000, 1, 1, tzinfo=UTC)


def test_a_path_leads_from_the_root_to_the_leaf_and_ends_at_a_loop():
    assert path_to("c", {"a": "", "b": "a", "c": "b", "d": "a"}) == ["a", "b", "c"]
    assert path_to("b", {"a": "b", "b": "a"}) == ["a", "b"]
    assert path_to("x", {"a": ""}) == []
