"""What upkeep works with, made once for each worker."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from functions.upkeep.files import Files
from functions.upkeep.letters import Letters
from functions.upkeep.mail import Mail
from parley.jobs import IngestQueue, MemoryQueue, UpkeepQueue


@dataclass(frozen=True, slots=True)
class Desk:
    """The database by two roles, the users' files, the mail, the queues of lost work, and which model makes vectors, if any."""

    engine: Engine
    background: Engine
    files: Files
    letters: Letters
    mail: Mail
    queue: UpkeepQueue
    memory_queue: MemoryQueue
    ingest_queue: IngestQueue
    embedding_model: Callable[[], str | None]
