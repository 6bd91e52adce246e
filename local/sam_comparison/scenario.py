"""The scenario: every event file, in the order of a user's first visit, with ids and tokens from earlier answers filled in."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.sam_comparison.answers import FunctionAnswer

# Placeholders in the event files for values from earlier answers.
USER_ID = "01996f6a-0000-7000-8000-000000000001"
SESSION_ID = "01996f6a-0000-7000-8000-000000000002"
CONVERSATION_ID = "01996f6a-0000-7000-8000-000000000003"
DOCUMENT_ID = "01996f6a-0000-7000-8000-000000000006"
MCP_SERVER_ID = "01996f6a-0000-7000-8000-000000000009"
ACCESS_TOKEN = "not-a-token"  # noqa: S105
REFRESH_TOKEN = "prt_unknown"  # noqa: S105
UPLOAD_EVENT = "documents_upload"
# The authorizer early: its event has the access token, which is valid for ten minutes.
_FIRST_EVENTS = ("auth_register", "auth_login", "authorizer_token", "chat_message", UPLOAD_EVENT, "tools_add_mcp_server")
_LAST_EVENTS = ("documents_delete", "auth_change_password", "auth_delete_me", "conversation_delete", "auth_logout")
_CREATED_IDS = {(UPLOAD_EVENT, "202"): DOCUMENT_ID, ("tools_add_mcp_server", "201"): MCP_SERVER_ID}
_CONVERSATION_PATTERN = re.compile(r'"conversation_id": ?"([0-9a-f-]{36})"')


@dataclass(frozen=True)
class ScenarioStep:
    """One call: the event's name and text. With `has_tokens`, its placeholder tokens are replaced by real ones."""

    event: str
    text: str
    has_tokens: bool = False

    @property
    def folder(self) -> str:
        """The function's folder, the first part of the event's name."""
        return self.event.split("_")[0]

    @property
    def title(self) -> str:
        return f"{self.event}, real token" if self.has_tokens else self.event


def read_steps(folder: Path, *, only: Sequence[str] = ()) -> list[ScenarioStep]:
    """Return a step for each event file, and a second step with real tokens for each file that contains a placeholder token.

    With `only`, returns the steps of these events and of the first ones, from which the others have their ids and tokens. Raises
    ValueError for an event without a file.
    """
    paths = {path.stem: path for path in folder.glob("*.json")}
    if unknown := sorted(set(only) - set(paths)):
        raise ValueError(f"{folder.name}/ has no event {', '.join(unknown)}")
    steps = []
    for path in (paths[name] for name in paths if not only or name in {*only, *_FIRST_EVENTS}):
        text = path.read_text(encoding="utf-8")
        steps.append(ScenarioStep(path.stem, text))
        if ACCESS_TOKEN in text or REFRESH_TOKEN in text:
            steps.append(ScenarioStep(path.stem, text, has_tokens=True))
    return sorted(steps, key=_sort_key)


def _sort_key(step: ScenarioStep) -> tuple[int, str]:
    if step.event in _FIRST_EVENTS:
        return _FIRST_EVENTS.index(step.event), step.title
    return len(_FIRST_EVENTS) + (1 + _LAST_EVENTS.index(step.event) if step.event in _LAST_EVENTS else 0), step.title


@dataclass
class ScenarioState:
    """The ids and tokens that one side has returned so far, by placeholder."""

    ids: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def known(self) -> Mapping[str, str]:
        """The name of each id seen so far."""
        names = {
            USER_ID: "user",
            SESSION_ID: "session",
            CONVERSATION_ID: "conversation",
            DOCUMENT_ID: "document",
            MCP_SERVER_ID: "MCP server",
        }
        return {value: names[placeholder] for placeholder, value in self.ids.items()}

    def fill(self, step: ScenarioStep) -> str:
        """Return the step's event with known values in place of the placeholders."""
        text = step.text
        for placeholder, value in (self.ids | (self.tokens if step.has_tokens else {})).items():
            text = text.replace(placeholder, value)
        return text

    def learn(self, step: ScenarioStep, answer: FunctionAnswer) -> None:
        """Remember the ids and tokens in a successful answer for later events."""
        if step.event == "auth_register" and answer.status == "201":
            body = json.loads(answer.body)
            self.ids |= {USER_ID: body["user"]["id"], SESSION_ID: _token_claims(body["access_token"])["sid"]}
            self.tokens = {ACCESS_TOKEN: body["access_token"], REFRESH_TOKEN: body["refresh_token"]}
        if step.event == "chat_message" and (match := _CONVERSATION_PATTERN.search(answer.body)):
            self.ids[CONVERSATION_ID] = match[1]
        if placeholder := _CREATED_IDS.get((step.event, answer.status)):
            self.ids[placeholder] = json.loads(answer.body)["id"]


def _token_claims(token: str) -> dict[str, Any]:
    """Return a token's claims without verification; the stack under test issued it."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims
