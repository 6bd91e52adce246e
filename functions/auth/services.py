"""The clients and settings that the account functions use, created once per worker."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from functions.auth.login_throttle import LoginThrottle
from functions.auth.passwords import Passwords
from functions.auth.registration_policy import RegistrationPolicy
from functions.auth.sessions import Lifetimes
from parley.auth.signing_keys import KeyRing
from parley.aws.s3 import FileStore
from parley.jobs import UpkeepQueue


@dataclass(frozen=True, slots=True)
class AuthServices:
    """The database by two roles, the keys, and the deployment's choices."""

    engine: Engine
    background: Engine
    key_ring: Callable[[], KeyRing]
    passwords: Passwords
    registration_policy: RegistrationPolicy
    throttle: LoginThrottle
    lifetimes: Lifetimes
    queue: UpkeepQueue
    files: FileStore
