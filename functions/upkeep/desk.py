"""What upkeep works with, made once for each worker."""

from dataclasses import dataclass

from sqlalchemy import Engine

from functions.upkeep.files import Files
from functions.upkeep.letters import Letters
from functions.upkeep.mail import Mail
from parley.follow_up import MemoryQueue
from parley.upkeep import UpkeepQueue


@dataclass(frozen=True, slots=True)
class Desk:
    """The database by two roles, the users' files, the mail, and the queues of lost work."""

    engine: Engine
    background: Engine
    files: Files
    letters: Letters
    mail: Mail
    queue: UpkeepQueue
    memory_queue: MemoryQueue
