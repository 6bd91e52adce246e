"""Limits on mails and on attempts to guess passwords and codes: per account, per network and overall."""

from collections.abc import Sequence
from dataclasses import dataclass

from functions.auth.errors import TooManyAttempts
from parley.auth.client_origin import ClientOrigin
from parley.db.accounts import login_throttle
from parley.db.accounts.login_throttle import ThrottleBucket
from parley.db.accounts.sessions import LoginBuckets
from parley.db.engine import Engine
from parley.db.transactions import global_scope

WINDOW_S = 900.0
# After 100 failures in a row, an account gets one attempt per hour. So its owner is never locked out permanently.
SLOW_WINDOW_S = 3600.0
# The limits of mails to one address in 15 minutes, requested from one network and from all networks.
MAX_MAILS_PER_NETWORK = 3
MAX_MAILS_PER_ADDRESS = 12


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


def may_mail(background: Engine, email: str, origin: ClientOrigin) -> bool:
    """Count a mail that anyone can request. Returns False if the address has reached its limit for this network or for all networks."""
    from_network = ThrottleBucket.of("mail from", f"{email} {origin.network}", burst=MAX_MAILS_PER_NETWORK, window_s=WINDOW_S)
    overall = ThrottleBucket.of("mail", email, burst=MAX_MAILS_PER_ADDRESS, window_s=WINDOW_S)
    with global_scope(background) as connection:
        return login_throttle.take(connection, [from_network, overall]) is None


def may_notify(background: Engine, email: str) -> bool:
    """Count a notification mail. Returns False if the address has reached its limit."""
    bucket = ThrottleBucket.of("note", email, burst=MAX_MAILS_PER_ADDRESS, window_s=WINDOW_S)
    with global_scope(background) as connection:
        return login_throttle.take(connection, [bucket]) is None
