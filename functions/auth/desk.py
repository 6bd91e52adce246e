"""What the account functions work with, made once for each worker."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from functions.auth.admission import Admission
from functions.auth.passwords import Passwords
from functions.auth.sessions import Lifetimes
from functions.auth.throttle import Throttle
from parley.auth.signing_keys import KeyRing
from parley.aws.s3 import FileStore
from parley.jobs import UpkeepQueue


@dataclass(frozen=True, slots=True)
class Desk:
    """The database by two roles, the keys, and the deployment's choices."""

    engine: Engine
    background: Engine
    key_ring: Callable[[], KeyRing]
    passwords: Passwords
    admission: Admission
    throttle: Throttle
    lifetimes: Lifetimes
    queue: UpkeepQueue
    files: FileStore
