"""The clients that upkeep uses, created once per worker, and the bucket of the users' files."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine

from functions.upkeep.email_templates import EmailTemplates
from functions.upkeep.mailer import Mailer
from parley.aws.s3 import FileStore
from parley.jobs import IngestQueue, MemoryQueue, UpkeepQueue

# Every folder that holds users' files.
USER_FOLDERS = ("exports", "documents", "uploads", "images")


class UserFileStore(FileStore):
    """The bucket."""

    def delete_all_of(self, user_id: UUID) -> int:
        """Delete every file of a user and return how many. Raises Unavailable if one may be left."""
        return sum(self.delete_under(f"{folder}/{user_id}/") for folder in USER_FOLDERS)


@dataclass(frozen=True, slots=True)
class UpkeepServices:
    """The database by two roles, the users' files, the mail, the queues of lost work, and which model makes vectors, if any."""

    engine: Engine
    background: Engine
    files: UserFileStore
    email_templates: EmailTemplates
    mailer: Mailer
    queue: UpkeepQueue
    memory_queue: MemoryQueue
    ingest_queue: IngestQueue
    embedding_model: Callable[[], str | None]
