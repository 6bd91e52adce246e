"""Limits on guesses at passwords and codes: per account, per network and overall."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from functions.auth.errors import TooManyAttempts
from parley.auth.client_origin import ClientOrigin
from parley.db.accounts import login_throttle
from parley.db.accounts.login_throttle import ThrottleBucket
from parley.db.accounts.sessions import LoginBuckets
from parley.db.transactions import global_scope

WINDOW_S = 900.0
# After a hundred wrong guesses in a row an account has one guess in an hour: slow, but never shut.
SLOW_WINDOW_S = 3600.0
# Mails to one address in 15 minutes, asked for from one network and from all.
MAX_MAILS_PER_NETWORK, MAX_MAILS_PER_ADDRESS = 3, 12


@dataclass(frozen=True, slots=True)
class LoginThrottle:
    """The deployment's limits: guesses in 15 minutes for an account and an address, in a minute over all."""

    per_account: int
    per_address: int
    per_minute: int

    def password_buckets(self, email: str, origin: ClientOrigin) -> LoginBuckets:
        """Return what a guess at the password of `email` is counted in. Case never makes two accounts."""
        return LoginBuckets(
            network=self._network(origin),
            account=self._account("account", email),
            known=self._account("known", f"{email} {origin.network}"),
            overall=self._overall("strangers"),
            overall_known=self._overall("known"),
        )

    def origin_buckets(self, origin: ClientOrigin) -> list[ThrottleBucket]:
        """Return what anything else that could be guessed, or costs as much, is counted in."""
        return [self._network(origin), self._overall("strangers")]

    def _account(self, kind: str, subject: str) -> ThrottleBucket:
        return ThrottleBucket.of(kind, subject, burst=self.per_account, window_s=WINDOW_S, slow_s=SLOW_WINDOW_S)

    def _network(self, origin: ClientOrigin) -> ThrottleBucket:
        return ThrottleBucket.of("network", origin.network, burst=self.per_address, window_s=WINDOW_S)

    def _overall(self, who: str) -> ThrottleBucket:
        return ThrottleBucket.of("overall", who, burst=self.per_minute, window_s=60.0)


def count_attempt(background: Engine, buckets: Sequence[ThrottleBucket]) -> None:
    """Count an attempt, or raise TooManyGuesses."""
    with global_scope(background) as connection:
        wait_s = login_throttle.take(connection, buckets)
    if wait_s is not None:
        raise TooManyAttempts(wait_s)


def may_mail(background: Engine, email: str, origin: ClientOrigin) -> bool:
    """Count a mail that a stranger could cause; False if the address has had enough of them, from there or at all."""
    from_there = ThrottleBucket.of("mail from", f"{email} {origin.network}", burst=MAX_MAILS_PER_NETWORK, window_s=WINDOW_S)
    at_all = ThrottleBucket.of("mail", email, burst=MAX_MAILS_PER_ADDRESS, window_s=WINDOW_S)
    with global_scope(background) as connection:
        return login_throttle.take(connection, [from_there, at_all]) is None


def may_notify(background: Engine, email: str) -> bool:
    """Count a notice; False if the address has had enough of them."""
    with global_scope(background) as connection:
        return login_throttle.take(connection, [ThrottleBucket.of("note", email, burst=MAX_MAILS_PER_ADDRESS, window_s=WINDOW_S)]) is None
