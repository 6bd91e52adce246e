"""How many guesses at passwords and codes there are for one account, from one place, and over all."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from functions.auth.errors import TooManyGuesses
from parley.auth.origin import Origin
from parley.db import guesses
from parley.db.guesses import Bucket
from parley.db.scope import open_scope
from parley.db.sign_ins import Buckets

WINDOW_S = 900.0
# After a hundred wrong guesses in a row an account has one guess in an hour: slow, but never shut.
SLOW_S = 3600.0
# Mails to one address in 15 minutes, asked for from one network and from all.
MAILS, MAILS_AT_ALL = 3, 12


@dataclass(frozen=True, slots=True)
class Throttle:
    """The deployment's limits: guesses in 15 minutes for an account and an address, in a minute over all."""

    per_account: int
    per_address: int
    per_minute: int

    def of_password(self, email: str, origin: Origin) -> Buckets:
        """Return what a guess at the password of `email` is counted in. Case never makes two accounts."""
        return Buckets(
            network=self._network(origin),
            account=self._account("account", email),
            known=self._account("known", f"{email} {origin.network}"),
            overall=self._overall("strangers"),
            overall_known=self._overall("known"),
        )

    def of_place(self, origin: Origin) -> list[Bucket]:
        """Return what anything else that could be guessed, or costs as much, is counted in."""
        return [self._network(origin), self._overall("strangers")]

    def _account(self, kind: str, subject: str) -> Bucket:
        return Bucket.of(kind, subject, burst=self.per_account, window_s=WINDOW_S, slow_s=SLOW_S)

    def _network(self, origin: Origin) -> Bucket:
        return Bucket.of("network", origin.network, burst=self.per_address, window_s=WINDOW_S)

    def _overall(self, who: str) -> Bucket:
        return Bucket.of("overall", who, burst=self.per_minute, window_s=60.0)


def admit(background: Engine, buckets: Sequence[Bucket]) -> None:
    """Count an attempt, or raise TooManyGuesses."""
    with open_scope(background) as connection:
        wait_s = guesses.take(connection, buckets)
    if wait_s is not None:
        raise TooManyGuesses(wait_s)


def may_mail(background: Engine, email: str, origin: Origin) -> bool:
    """Count a mail that a stranger could cause; False if the address has had enough of them, from there or at all."""
    from_there = Bucket.of("mail from", f"{email} {origin.network}", burst=MAILS, window_s=WINDOW_S)
    at_all = Bucket.of("mail", email, burst=MAILS_AT_ALL, window_s=WINDOW_S)
    with open_scope(background) as connection:
        return guesses.take(connection, [from_there, at_all]) is None


def may_note(background: Engine, email: str) -> bool:
    """Count a notice; False if the address has had enough of them."""
    with open_scope(background) as connection:
        return guesses.take(connection, [Bucket.of("note", email, burst=MAILS_AT_ALL, window_s=WINDOW_S)]) is None
