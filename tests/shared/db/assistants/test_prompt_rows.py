"""Prompts of a user beside those of others with the same ids: which is meant, in which order they are offered, and their versions."""

from datetime import UTC, datetime

import pytest

from parley.db.assistants import assistants, prompts, versions
from parley.db.assistants.assistants import ASSISTANTS
from parley.db.assistants.prompts import PROMPTS, ImportedPrompt, PromptVersion
from parley.db.groups import shares
from parley.errors import NotFound
from parley.ids import new_id

DAY = datetime(2025, 8, 24, tzinfo=UTC)


def imported(count):
    stored = [PromptVersion(version=number, created_at=DAY, description=None, text=f"text {number}") for number in range(1, count + 1)]
    return ImportedPrompt(new_id(), "trip", DAY, stored)


@pytest.fixture
def offered(world):
    """Prompts that cat may use, by title: one of bea's by a group, one of dan's with everybody, and two own ones."""
    found = {}
    for name, owner in {"own": "cat", "everybody": "dan", "group": "bea", "later": "cat", "hidden": "eve"}.items():
        found[name] = new_id()
        prompts.add(world.connection, found[name], user_id=getattr(world, owner), name=name, description=None, text=name)
    versions.set_shared(world.connection, PROMPTS, found["everybody"], user_id=world.dan, is_shared=True)
    shares.add(world.connection, shares.PROMPTS, found["group"], world.Birds, user_id=world.bea)
    world.act_as(world.cat)
    return found


def test_own_prompts_come_before_those_of_everybody_and_of_groups(world, offered):
    found = [prompt.name for prompt in prompts.preferred(world.connection, user_id=world.cat, limit=9, name=None)]

    assert found == ["later", "own", "everybody", "group"]
    assert [prompt.name for prompt in prompts.preferred(world.connection, user_id=world.cat, limit=2, name=None)] == found[:2]


def test_a_page_of_prompts_has_at_most_as_many_as_asked_for(world, offered):
    assert [prompt.name for prompt in prompts.page(world.connection, limit=2, after=None)] == ["later", "group"]


def test_a_page_of_assistants_has_at_most_as_many_as_asked_for(world):
    ids = [new_id() for _ in range(3)]
    for id in ids:
        versions.add(world.connection, ASSISTANTS, id, user_id=world.cat, settings={"name": "x", "instructions": "x", "memory": "all"})
    world.act_as(world.cat)

    assert [assistant.id for assistant in assistants.page(world.connection, limit=2, after=None)] == ids[:0:-1]


@pytest.mark.parametrize("name", ["ann", "cat"])
def test_the_users_own_of_two_prompts_with_one_id_is_meant(world, offered, name):
    user_id = getattr(world, name)
    prompts.add(world.connection, offered["everybody"], user_id=user_id, name="mine", description=None, text="mine")
    world.act_as(user_id)

    assert prompts.get(world.connection, offered["everybody"], user_id=user_id).name == "mine"


def test_only_an_own_prompt_is_renamed(world, offered):
    prompts.rename(world.connection, offered["own"], user_id=world.cat, name="new")
    for id in (offered["everybody"], new_id()):
        with pytest.raises(NotFound):
            prompts.rename(world.connection, id, user_id=world.cat, name="other")

    assert prompts.get(world.connection, offered["own"], user_id=world.cat).name == "new"


def test_an_imported_prompt_has_its_newest_text(world):
    prompt = imported(3)
    prompts.restore(world.connection, prompt, user_id=world.ann)
    world.act_as(world.ann)

    assert prompts.get(world.connection, prompt.id, user_id=world.ann).text == "text 3"


def test_the_newest_fifty_versions_of_one_prompt_are_kept(world):
    prompt, other = imported(50), imported(3)
    for owner, stored in ((world.ann, prompt), (world.bea, ImportedPrompt(prompt.id, "trip", DAY, other.versions))):
        prompts.restore(world.connection, stored, user_id=owner)
    versions.change(world.connection, PROMPTS, prompt.id, user_id=world.ann, changes={"text": "text 51"})
    numbers = {
        owner: [version.version for version in versions.page(world.connection, PROMPTS, prompt.id, user_id=owner, limit=99, before=None)]
        for owner in (world.ann, world.bea)
    }

    assert numbers == {world.ann: list(range(51, 1, -1)), world.bea: [3, 2, 1]}


def test_the_versions_before_one_are_listed(world):
    prompt = imported(4)
    prompts.restore(world.connection, prompt, user_id=world.ann)
    found = versions.page(world.connection, PROMPTS, prompt.id, user_id=world.ann, limit=2, before=4)

    assert [version.version for version in found] == [3, 2]
