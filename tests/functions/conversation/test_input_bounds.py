"""What requests may contain: the longest texts, the most items, the combinations, and the defaults."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from functions.conversation.assistants.assistants import TooManyAssistants
from functions.conversation.assistants.schemas import AssistantChanges, AssistantIn
from functions.conversation.links.routes import LinkIn
from functions.conversation.links.shared_links import MAX_SNAPSHOT_BYTES, TooLongToShare, TooManyLinks
from functions.conversation.projects.routes import ProjectIn
from functions.conversation.prompts.schemas import PromptChanges, PromptIn
from functions.conversation.ratings.routes import FeedbackIn
from functions.conversation.schedules.routes import ScheduleChange, ScheduleIn
from functions.conversation.schemas import ConversationChanges, ConversationIn, ForkIn, FoundPassageOut, MemoryIn, RollbackIn
from parley.db.search import FoundPassage
from parley.http.schemas import ShareIn

DAY = datetime(2026, 11, 2, tzinfo=UTC)
GROUP = str(uuid4())
IDS = [str(uuid4()) for _ in range(101)]
ASSISTANT, PROJECT, PROMPT, SCHEDULE = {"name": "Reader"}, {"name": "Birds"}, {"name": "trip", "text": "Go."}, {"prompt": "Hi"}


@pytest.mark.parametrize(
    ("model", "least", "field", "longest", "of_text"),
    [
        (ConversationIn, {}, "title", 200, True),
        (ConversationIn, {}, "model", 100, True),
        (ConversationIn, {}, "system_prompt", 32_000, True),
        (ConversationChanges, {}, "title", 200, True),
        (AssistantIn, ASSISTANT, "name", 100, True),
        (AssistantIn, ASSISTANT, "description", 300, True),
        (AssistantIn, ASSISTANT, "instructions", 32_000, True),
        (AssistantIn, ASSISTANT, "tools", 100, False),
        (AssistantIn, ASSISTANT, "starters", 6, False),
        (ProjectIn, PROJECT, "name", 100, True),
        (ProjectIn, PROJECT, "instructions", 32_000, True),
        (PromptIn, PROMPT, "text", 16_000, True),
        (PromptIn, PROMPT, "description", 300, True),
        (MemoryIn, {}, "text", 1_000, True),
        (ScheduleIn, SCHEDULE, "prompt", 20_000, True),
        (ScheduleIn, SCHEDULE, "time_zone", 60, True),
        (ScheduleIn, SCHEDULE, "cron", 200, True),
    ],
)
def test_a_field_may_be_as_long_as_allowed_and_no_longer(model, least, field, longest, of_text):
    value = "x" * longest if of_text else ["x"] * longest

    assert getattr(model.model_validate(least | {field: value}), field) == value
    with pytest.raises(ValidationError):
        model.model_validate(least | {field: value + value[:1]})


@pytest.mark.parametrize(
    ("model", "least", "field"),
    [
        (ConversationIn, {}, "title"),
        (ConversationIn, {}, "model"),
        (AssistantIn, {}, "name"),
        (AssistantIn, ASSISTANT, "picture"),
        (ProjectIn, {}, "name"),
        (PromptIn, {"name": "trip"}, "text"),
        (PromptIn, {"text": "Go."}, "name"),
        (MemoryIn, {}, "text"),
        (ScheduleIn, {}, "prompt"),
        (ScheduleIn, SCHEDULE, "time_zone"),
    ],
)
def test_a_field_that_needs_a_text_is_not_empty(model, least, field):
    with pytest.raises(ValidationError):
        model.model_validate(least | {field: ""})


@pytest.mark.parametrize(("count", "is_allowed"), [(100, True), (101, False)])
def test_an_assistant_and_a_project_have_a_hundred_documents(count, is_allowed):
    for model, least in ((AssistantIn, ASSISTANT), (ProjectIn, PROJECT)):
        try:
            made = model.model_validate(least | {"documents": IDS[:count]})
        except ValidationError:
            assert not is_allowed
        else:
            assert (is_allowed, len(made.documents)) == (True, count)


@pytest.mark.parametrize(
    ("model", "field", "allowed", "refused"),
    [
        (ForkIn, "upto_seq", [1, 2**31 - 1], [0, 2**31, True, "1"]),
        (RollbackIn, "version", [1, 2**31 - 1], [0, 2**31]),
        (LinkIn, "expires_in_days", [1, 365], [0, 366]),
        (LinkIn, "upto_seq", [1, 2**31 - 1, None], [0, 2**31]),
        (ScheduleChange, "every_minutes", [1, 527_040, None], [0, 527_041]),
        (AssistantIn, "tools", [["x"], ["x" * 100]], [[""], ["x" * 101]]),
        (AssistantIn, "starters", [["x"], ["x" * 300]], [[""], ["x" * 301], [" "]]),
        (AssistantIn, "picture", ["📜", "👩‍🚀", "1️⃣", "📜" * 12], ["x", "1", "📜x", "📜" * 13]),
    ],
)
def test_a_value_is_within_its_bounds(model, field, allowed, refused):
    least = ASSISTANT if model is AssistantIn else {}
    for value in allowed:
        assert getattr(model.model_validate(least | {field: value}), field) == value
    for value in refused:
        with pytest.raises(ValidationError):
            model.model_validate(least | {field: value})


@pytest.mark.parametrize(
    ("model", "least", "field"),
    [
        (AssistantIn, {}, "name"),
        (AssistantIn, ASSISTANT, "description"),
        (ProjectIn, {}, "name"),
        (PromptIn, PROMPT, "description"),
        (MemoryIn, {}, "text"),
        (FeedbackIn, {"rating": "bad"}, "reason"),
    ],
)
def test_spaces_around_a_name_a_description_and_a_fact_are_dropped(model, least, field):
    assert getattr(model.model_validate(least | {field: " a b\n"}), field) == "a b"


def test_spaces_around_a_starter_and_a_tag_are_dropped():
    assert AssistantIn.model_validate(ASSISTANT | {"starters": [" a b "]}).starters == ["a b"]
    assert ConversationIn.model_validate({"tags": [" a b "]}).tags == ["a b"]


def test_the_ids_of_a_request_are_texts():
    assert ShareIn.model_validate({"group_id": GROUP}).group_id == UUID(GROUP)
    assert ConversationIn.model_validate({"assistant_id": GROUP, "project_id": GROUP}).project_id == UUID(GROUP)


def test_who_has_too_much_reads_how_much_is_allowed():
    assert TooManyAssistants.public_message.startswith("You have 200 assistants.")
    assert TooManyLinks.public_message.startswith("You have 200 shared links.")
    assert "up to 1,000 messages and 1 MiB" in TooLongToShare.public_message
    assert MAX_SNAPSHOT_BYTES == 2**20


def test_fields_that_are_left_out_have_their_defaults():
    assert ConversationIn.model_validate({}).columns() == {
        **dict.fromkeys(("title", "model", "system_prompt", "assistant_id", "project_id")),
        "tags": [],
        "is_incognito": False,
    }
    assert AssistantIn.model_validate(ASSISTANT).settings() == {
        **dict.fromkeys(("picture", "description", "model")),
        **{"name": "Reader", "instructions": "", "tools": True, "documents": False, "memory": "all", "starters": []},
    }
    made = ScheduleIn.model_validate(SCHEDULE).columns()
    assert {name: made[name] for name in ("every_minutes", "cron", "time_zone", "tools", "documents", "email")} == {
        **{"every_minutes": 1440, "cron": None, "time_zone": "UTC"},
        **dict.fromkeys(("tools", "documents", "email"), False),
    }


def test_only_given_settings_change_and_only_some_can_be_taken_away():
    changes = AssistantChanges.model_validate({"name": None, "picture": None, "model": "m", "shared": False, "documents": [IDS[0]] * 2})

    assert changes.settings() == {"picture": None, "model": "m", "documents": IDS[:1]}
    assert PromptChanges.model_validate({"name": "trip", "text": None, "description": None}).settings() == {"description": None}


@pytest.mark.parametrize(("times", "every_minutes"), [({"cron": "0 7 * * *"}, None), ({"every_minutes": 60}, 60)])
def test_a_schedule_has_the_times_that_it_is_given(times, every_minutes):
    assert ScheduleIn.model_validate(SCHEDULE | times).columns()["every_minutes"] == every_minutes
    assert ScheduleChange.model_validate(times).every_minutes == every_minutes


@pytest.mark.parametrize(("model", "least"), [(ScheduleIn, SCHEDULE), (ScheduleChange, {})])
def test_a_schedule_has_one_kind_of_times(model, least):
    with pytest.raises(ValidationError):
        model.model_validate(least | {"cron": "0 7 * * *", "every_minutes": 60})


@pytest.mark.parametrize(
    ("link", "audience"),
    [
        ({}, "signed_in"),
        ({"audience": "public"}, "public"),
        ({"group_id": GROUP}, "group"),
        ({"audience": "group", "group_id": GROUP}, "group"),
        ({"audience": "group"}, None),
        ({"audience": "public", "group_id": GROUP}, None),
    ],
)
def test_a_link_for_a_group_names_the_group_and_no_other_link_does(link, audience):
    if audience is None:
        with pytest.raises(ValidationError):
            LinkIn.model_validate(link)
    else:
        made = LinkIn.model_validate(link)
        assert (made.options()["audience"], made.expires_in_days) == (audience, 30)


@pytest.mark.parametrize("text", ["2026-11-02\nUser: the <boat>", "User: the <boat>"])
def test_a_found_passage_is_shown_without_the_line_of_its_date(text):
    passage = FoundPassage(uuid4(), uuid4(), "Trip", 3, 4, DAY, text, 0.12345678, None, None)
    shown = FoundPassageOut.of(passage, "boat")

    assert (shown.snippet, shown.seq, shown.score) == ("User: the &lt;<mark>boat</mark>&gt;", 3, 0.123457)
