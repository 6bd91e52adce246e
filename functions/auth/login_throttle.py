"""Limits on mails, on attempts to guess passwords and codes, and on OAuth clients: per account, per network and overall."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

from functions.auth.errors import TooManyAttempts, TooManyClientRequests
from parley.auth.client_origin import ClientOrigin
from parley.db.accounts import login_throttle
from parley.db.accounts.login_throttle import ThrottleBucket
from parley.db.accounts.sessions import LoginBuckets
from parley.db.engine import Engine
from parley.db.transactions import global_scope
from parley.errors import Unavailable

WINDOW_S = 900.0
# After 100 failures in a row, an account gets one attempt per hour. So its owner is never locked out permanently.
SLOW_WINDOW_S = 3600.0
# The limits of mails to one address in 15 minutes, requested from one network and from all networks.
MAX_MAILS_PER_NETWORK = 3
MAX_MAILS_PER_ADDRESS = 12
LOGINS_PER_GUESS = 10
# The limits of mails about invitations in a day: to one address, and caused by one user.
MAX_INVITATIONS_PER_ADDRESS = 3
MAX_INVITATIONS_PER_USER = 50
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class LoginThrottle:
    """The deployment's limits: attempts per account and per network in 15 minutes, and all attempts in one minute."""

    per_account: int
    per_address: int
    per_minute: int

    def password_buckets(self, email: str, origin: ClientOrigin) -> LoginBuckets:
        """Return the buckets that count an attempt at the password of `email`, an address in lower case."""
        return LoginBuckets(
            network=self._network(origin),
            account=self._account("account", email),
            known=self._account("known", f"{email} {origin.network}"),
            refunds=ThrottleBucket.of("refunds", email, burst=self.per_account, window_s=WINDOW_S),
            overall=self._overall("strangers"),
            overall_known=self._overall("known"),
        )

    def origin_buckets(self, origin: ClientOrigin) -> list[ThrottleBucket]:
        """Return the buckets of codes and sign-ups: a code can be guessed like a password, and a sign-up costs as much as a login."""
        return [self._network(origin), self._overall("strangers")]

    def client_bucket(self, origin: ClientOrigin) -> ThrottleBucket:
        """Return the bucket of OAuth clients on a network. It is not the network's bucket for logins: a program could use that one up."""
        return ThrottleBucket.of("clients", origin.network, burst=self.per_address, window_s=WINDOW_S)

    def client_refunds(self, origin: ClientOrigin) -> ThrottleBucket:
        """Return the bucket that bounds the useful requests of OAuth clients on a network."""
        return ThrottleBucket.of("client refunds", origin.network, burst=self.per_minute, window_s=60.0)

    def issuer_buckets(self, origin: ClientOrigin) -> list[ThrottleBucket]:
        """Return the buckets of logins that begin at an issuer or a passkey. They guess nothing here, and a company may share a network."""
        limit = LOGINS_PER_GUESS * self.per_address
        return [ThrottleBucket.of("oidc", origin.network, burst=limit, window_s=WINDOW_S), self._overall("strangers")]

    def _account(self, kind: str, subject: str) -> ThrottleBucket:
        return ThrottleBucket.of(kind, subject, burst=self.per_account, window_s=WINDOW_S, slow_s=SLOW_WINDOW_S)

    def _network(self, origin: ClientOrigin) -> ThrottleBucket:
        return ThrottleBucket.of("network", origin.network, burst=self.per_address, window_s=WINDOW_S)

    def _overall(self, group: str) -> ThrottleBucket:
        return ThrottleBucket.of("overall", group, burst=self.per_minute, window_s=60.0)


def count_attempt(background: Engine, buckets: Sequence[ThrottleBucket]) -> None:
    """Count an attempt, or raise TooManyAttempts."""
    with global_scope(background) as connection:
        wait_s = login_throttle.take(connection, buckets)
    if wait_s is not None:
        raise TooManyAttempts(wait_s)


def count_client_request(background: Engine, throttle: LoginThrottle, origin: ClientOrigin) -> None:
    """Count a request of an OAuth client, or raise TooManyClientRequests."""
    with global_scope(background) as connection:
        wait_s = login_throttle.take(connection, [throttle.client_bucket(origin)])
    if wait_s is not None:
        raise TooManyClientRequests(wait_s)


@contextmanager
def useful_client_request(background: Engine, throttle: LoginThrottle, origin: ClientOrigin) -> Iterator[None]:
    """Count a request of an OAuth client as `count_client_request` does, but no longer once the block has succeeded.

    So many clients can share a network. The number of such refunds is limited, too.
    """
    count_client_request(background, throttle, origin)
    yield
    # The tokens are issued: a client that lost them could not ask for them again.
    with suppress(Unavailable):
        login_throttle.give_back(background, throttle.client_bucket(origin), refunds=throttle.client_refunds(origin))


def may_mail(background: Engine, email: str, origin: ClientOrigin) -> bool:
    """Count a mail that anyone can request. Returns False if the address has reached its limit for this network or for all networks."""
    from_network = ThrottleBucket.of("mail from", f"{email} {origin.network}", burst=MAX_MAILS_PER_NETWORK, window_s=WINDOW_S)
    overall = ThrottleBucket.of("mail", email, burst=MAX_MAILS_PER_ADDRESS, window_s=WINDOW_S)
    with global_scope(background) as connection:
        return login_throttle.take(connection, [from_network, overall]) is None


def may_notify(background: Engine, email: str) -> bool:
    """Count a notification mail. Returns False at the limit of the address, but True if the database is away.

    What the mail announces is committed: an error would cost the user the response, such as a key that is shown once.
    """
    bucket = ThrottleBucket.of("note", email, burst=MAX_MAILS_PER_ADDRESS, window_s=WINDOW_S)
    with suppress(Unavailable), global_scope(background) as connection:
        return login_throttle.take(connection, [bucket]) is None
    return True


def may_invite_by_mail(background: Engine, email: str, inviter_id: UUID) -> bool:
    """Count a mail about an invitation. Returns False at the day's limit of the inviter or the address, or if the database is away.

    The invitation is committed: repeated after an error, it would not be a new one, and nobody would learn that no mail was sent.
    """
    inviter = ThrottleBucket.of("inviter", str(inviter_id), burst=MAX_INVITATIONS_PER_USER, window_s=DAY_S)
    invited = ThrottleBucket.of("invited", email, burst=MAX_INVITATIONS_PER_ADDRESS, window_s=DAY_S)
    with suppress(Unavailable), global_scope(background) as connection:
        return login_throttle.take(connection, [inviter, invited]) is None
    return False
