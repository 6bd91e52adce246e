"""The clients of the upkeep function, created once per worker, and the bucket with the users' files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from functions.upkeep.email_templates import EmailTemplates
from functions.upkeep.mailer import Mailer
from functions.upkeep.webhook_client import WebhookClient
from parley.aws.s3 import FileStore
from parley.db.engine import Engine
from parley.ingest_queue import IngestQueue
from parley.jobs import MemoryQueue, UpkeepQueue

# Every top-level folder with users' files. In each of them, a user's files are in a folder named by the user's id.
USER_FOLDERS = ("exports", "imports", "documents", "uploads", "images")


class UserFileStore(FileStore):
    """The bucket with the users' files."""

    def delete_all_of(self, user_id: UUID) -> int:
        """Delete every file of a user and return the number of files. Raises Unavailable if files may remain."""
        return sum(self.delete_under(f"{folder}/{user_id}/") for folder in USER_FOLDERS)


@dataclass(frozen=True, slots=True)
class UpkeepServices:
    """The dependencies of upkeep.

    `engine` acts for one user at a time, `background` across users. The sweep uses the three queues to send lost jobs again.
    `embedding_model` returns the name of the current embedding model, or None. `start_run` sends a request to the chat function, and
    `schedule_min_minutes` is the fewest minutes between two runs of a scheduled prompt.
    """

    engine: Engine
    background: Engine
    files: UserFileStore
    email_templates: EmailTemplates
    mailer: Mailer
    queue: UpkeepQueue
    memory_queue: MemoryQueue
    ingest_queue: IngestQueue
    embedding_model: Callable[[], str | None]
    webhook_client: WebhookClient
    start_run: Callable[[Mapping[str, Any]], None]
    schedule_min_minutes: int
