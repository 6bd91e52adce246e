"""The mails that the stack has sent. They are only stored and shown, never delivered."""

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
    """A sent mail; `at` is the time of sending in ISO 8601, UTC."""

    id: str
    at: str
    sender: str
    to: tuple[str, ...]
    subject: str
    text: str

    @property
    def fields(self) -> dict[str, Any]:
        """The mail as a JSON object."""
        return {"id": self.id, "at": self.at, "from": self.sender, "to": list(self.to), "subject": self.subject, "text": self.text}

    @classmethod
    def read(cls, path: Path) -> "SentMail":
        fields = json.loads(path.read_text(encoding="utf-8"))
        return cls(fields["id"], fields["at"], fields["from"], tuple(fields["to"]), fields["subject"], fields["text"])


class Mailbox:
    """A folder with a file for each mail, named by time of sending. The AWS stand-in writes the files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def mails(self) -> list[SentMail]:
        """Return all mails, newest first."""
        mails = []
        for path in sorted(self._folder.glob("[!.]*.json"), reverse=True):
            with contextlib.suppress(FileNotFoundError):
                mails.append(SentMail.read(path))
        return mails

    def empty(self) -> None:
        """Delete all mails."""
        for path in self._folder.glob("[!.]*.json"):
            path.unlink(missing_ok=True)

    async def watch(self, show: Callable[[SentMail], None]) -> None:
        """Call `show` with each new mail, until cancelled."""

        def is_new(change: Change, path: str) -> bool:
            return change == Change.added and path.endswith(".json")

        async for changes in awatch(self._folder, watch_filter=is_new, recursive=False, step=_STEP_MS):
            for path in sorted(Path(path) for _, path in changes):
                with contextlib.suppress(FileNotFoundError):
                    show(SentMail.read(path))
