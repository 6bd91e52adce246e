"""The events in the order of a person's first visit, each filled with ids and tokens from earlier answers."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.sam_comparison.answers import FunctionAnswer

# What the files in events/ carry where a real call has what an earlier answer gave.
USER_ID = "01996f6a-0000-7000-8000-000000000001"
SESSION_ID = "01996f6a-0000-7000-8000-000000000002"
CONVERSATION_ID = "01996f6a-0000-7000-8000-000000000003"
DOCUMENT_ID = "01996f6a-0000-7000-8000-000000000006"
MCP_SERVER_ID = "01996f6a-0000-7000-8000-000000000009"
ACCESS_TOKEN = "not-a-token"  # noqa: S105
REFRESH_TOKEN = "prt_unknown"  # noqa: S105
UPLOAD_EVENT = "documents_upload"
_FIRST_EVENTS = ("auth_register", "auth_login", "chat_message", UPLOAD_EVENT, "tools_add_mcp_server")
_LAST_EVENTS = ("documents_delete", "auth_change_password", "auth_delete_me", "conversation_delete", "auth_logout")
_CREATED_IDS = {(UPLOAD_EVENT, "202"): DOCUMENT_ID, ("tools_add_mcp_server", "201"): MCP_SERVER_ID}
_CONVERSATION_PATTERN = re.compile(r'"conversation_id": ?"([0-9a-f-]{36})"')


@dataclass(frozen=True)
class ScenarioStep:
    """One call: an event's name and text; with `has_tokens`, its stand-ins for tokens become real ones."""

    event: str
    text: str
    has_tokens: bool = False

    @property
    def folder(self) -> str:
        """The function's folder, which an event's name begins with."""
        return self.event.split("_")[0]

    @property
    def title(self) -> str:
        return f"{self.event}, real token" if self.has_tokens else self.event


def read_steps(folder: Path) -> list[ScenarioStep]:
    """Return a step for each event; those with a stand-in for a token come a second time, with a real one."""
    steps = []
    for path in folder.glob("*.json"):
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
    """What one side has learnt so far, by stand-in."""

    ids: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def known(self) -> Mapping[str, str]:
        """The learnt ids with their names."""
        names = {
            USER_ID: "user",
            SESSION_ID: "session",
            CONVERSATION_ID: "conversation",
            DOCUMENT_ID: "document",
            MCP_SERVER_ID: "MCP server",
        }
        return {value: names[stand_in] for stand_in, value in self.ids.items()}

    def fill(self, step: ScenarioStep) -> str:
        """Return the step's event with what is known in place of the stand-ins."""
        text = step.text
        for stand_in, value in (self.ids | (self.tokens if step.has_tokens else {})).items():
            text = text.replace(stand_in, value)
        return text

    def learn(self, step: ScenarioStep, answer: FunctionAnswer) -> None:
        """Keep what later events need of an answer; one that refuses teaches nothing."""
        if step.event == "auth_register" and answer.status == "201":
            body = json.loads(answer.body)
            self.ids |= {USER_ID: body["user"]["id"], SESSION_ID: _token_claims(body["access_token"])["sid"]}
            self.tokens = {ACCESS_TOKEN: body["access_token"], REFRESH_TOKEN: body["refresh_token"]}
        if step.event == "chat_message" and (found := _CONVERSATION_PATTERN.search(answer.body)):
            self.ids[CONVERSATION_ID] = found[1]
        if stand_in := _CREATED_IDS.get((step.event, answer.status)):
            self.ids[stand_in] = json.loads(answer.body)["id"]


def _token_claims(token: str) -> dict[str, Any]:
    """Return a token's claims, unverified: it is our own."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims
