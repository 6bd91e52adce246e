"""Write prompts, change them in versions, and fill in their variables."""

from collections.abc import Mapping
from uuid import UUID

from functions.conversation.prompts.schemas import PromptChanges, PromptIn
from parley.auth.client_origin import ClientOrigin
from parley.auth.principal import Principal
from parley.db.accounts import audit
from parley.db.assistants import prompts, versions
from parley.db.assistants.prompts import MAX_PROMPTS, PROMPTS, Prompt
from parley.db.engine import Connection
from parley.db.transactions import lock_until_end
from parley.errors import ParleyError
from parley.ids import new_id
from parley.prompt_template import fill, find_variables


class TooManyPrompts(ParleyError):
    """The user has as many prompts as are allowed."""

    status, code = 409, "too_many_prompts"
    public_message = f"You have {MAX_PROMPTS} prompts. Delete one before you write another."


def create(connection: Connection, principal: Principal, new: PromptIn) -> Prompt:
    """Store a prompt of the caller with its first version. Raises InvalidInput, TooManyPrompts and PromptNameTaken."""
    user_id = principal.user_id
    find_variables(new.text)
    lock_until_end(connection, f"prompts of {user_id}")
    if versions.count(connection, PROMPTS, user_id=user_id) >= MAX_PROMPTS:
        raise TooManyPrompts(f"user {user_id} has {MAX_PROMPTS} prompts")
    prompt_id = new_id()
    prompts.add(connection, prompt_id, user_id=user_id, **new.model_dump())
    return prompts.get(connection, prompt_id, user_id=user_id)


def change(connection: Connection, principal: Principal, prompt_id: UUID, changes: PromptChanges, *, origin: ClientOrigin) -> Prompt:
    """Change the caller's own prompt; a new text or description is a new version. The owner may always end its share with everybody.

    Raises NotFound, InvalidInput, PromptNameTaken and ScopeMissing.
    """
    user_id = principal.user_id
    if changes.shared:
        principal.require("admin")
    if changes.shared is not None:
        versions.set_shared(connection, PROMPTS, prompt_id, user_id=user_id, is_shared=changes.shared)
        audit.record_share(connection, user_id, "prompt", prompt_id, origin, is_shared=changes.shared)
    _check_may_change(connection, principal, prompt_id)
    if changes.text is not None:
        find_variables(changes.text)
    if changes.name is not None:
        prompts.rename(connection, prompt_id, user_id=user_id, name=changes.name)
    versions.change(connection, PROMPTS, prompt_id, user_id=user_id, changes=changes.settings())
    return prompts.get(connection, prompt_id, user_id=user_id)


def roll_back(connection: Connection, principal: Principal, prompt_id: UUID, version: int) -> Prompt:
    """Store the text and the description of an earlier version as a new version. Raises NotFound and ScopeMissing."""
    _check_may_change(connection, principal, prompt_id)
    versions.roll_back(connection, PROMPTS, prompt_id, version, user_id=principal.user_id)
    return prompts.get(connection, prompt_id, user_id=principal.user_id)


def filled_text(connection: Connection, principal: Principal, prompt_id: UUID, values: Mapping[str, str]) -> str:
    """Return the text of a prompt that the caller may use, with these values. Raises NotFound and InvalidInput."""
    return fill(prompts.get(connection, prompt_id, user_id=principal.user_id).text, values)


def _check_may_change(connection: Connection, principal: Principal, prompt_id: UUID) -> None:
    """Raise NotFound unless the prompt is the caller's own, and ScopeMissing if everybody uses it and the caller is not an admin."""
    if versions.is_shared(connection, PROMPTS, prompt_id, user_id=principal.user_id):
        principal.require("admin")
