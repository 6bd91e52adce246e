"""The clients and settings that the account functions use, created once per worker."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from functions.auth.login_throttle import LoginThrottle
from functions.auth.oauth.clients import ClientDirectory
from functions.auth.oidc.issuers import IssuerDirectory
from functions.auth.passkeys.relying_party import RelyingParty
from functions.auth.passwords import Passwords
from functions.auth.registration_policy import RegistrationPolicy
from functions.auth.sessions import Lifetimes
from parley.auth.signing_keys import KeyRing
from parley.aws.s3 import FileStore
from parley.db.engine import Engine
from parley.http.dependencies import FROM_APP
from parley.jobs import UpkeepQueue


@dataclass(frozen=True, slots=True)
class AuthServices:
    """The dependencies of the account functions. `engine` sees the rows of one user at a time, `background` the rows of all users.

    `allows_passwords` is whether users may log in by a password, and not by an issuer only. `sends_mail` is whether the deployment has a
    sender of emails. Without `relying_party`, there are no passkeys.
    """

    engine: Engine
    background: Engine
    key_ring: Callable[[], KeyRing]
    passwords: Passwords
    registration_policy: RegistrationPolicy
    throttle: LoginThrottle
    lifetimes: Lifetimes
    queue: UpkeepQueue
    files: FileStore
    clients: ClientDirectory
    issuers: IssuerDirectory
    allows_passwords: bool
    sends_mail: bool
    relying_party: RelyingParty | None


AuthServicesDep = Annotated[AuthServices, FROM_APP]
