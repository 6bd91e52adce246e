"""The mails that the stack has sent: nobody gets them but who runs it."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watchfiles import Change, awatch

_STEP_MS = 50


@dataclass(frozen=True)
class SentMail:
    """A mail; `at` is when it was sent, as ISO 8601 in UTC."""

    id: str
    at: str
    sender: str
    to: tuple[str, ...]
    subject: str
    text: str

    @property
    def fields(self) -> dict[str, Any]:
        """The mail as JSON shows it."""
        return {"id": self.id, "at": self.at, "from": self.sender, "to": list(self.to), "subject": self.subject, "text": self.text}

    @classmethod
    def read(cls, path: Path) -> "SentMail":
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(found["id"], found["at"], found["from"], tuple(found["to"]), found["subject"], found["text"])


class Mailbox:
    """A folder with a file for each mail, named by the time of its sending; the stand-in for SES writes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def mails(self) -> list[SentMail]:
        """Return all mails, the newest first."""
        found = []
        for path in sorted(self._folder.glob("[!.]*.json"), reverse=True):
            with contextlib.suppress(FileNotFoundError):
                found.append(SentMail.read(path))
        return found

    def empty(self) -> None:
        """Throw all mails away."""
        for path in self._folder.glob("[!.]*.json"):
            path.unlink(missing_ok=True)

    async def watch(self, show: Callable[[SentMail], None]) -> None:
        """Show every mail as it comes, until cancelled."""

        def is_new(change: Change, path: str) -> bool:
            return change == Change.added and path.endswith(".json")

        async for changes in awatch(self._folder, watch_filter=is_new, recursive=False, step=_STEP_MS):
            for path in sorted(Path(path) for _, path in changes):
                with contextlib.suppress(FileNotFoundError):
                    show(SentMail.read(path))
