"""Accounts: registration, login, sessions and their tokens."""

from parley import cold_start  # isort: split

from functools import cache

from functions.auth.passwords import Passwords
from functions.auth.routes import router
from parley.auth.key_store import load_keys
from parley.auth.signing_keys import KeyRing
from parley.db.engine import make_engine
from parley.http.app import create_app
from parley.http.buffered import buffered_handler
from parley.settings import DatabaseSettings, HttpSettings, KeySettings


class AuthSettings(HttpSettings, DatabaseSettings, KeySettings):
    """What this function reads from its environment."""

    password_min_length: int


settings = AuthSettings.read()


@cache
def key_ring() -> KeyRing:
    """Return the keys; they are read with the first request that needs them."""
    return load_keys(settings.keys_path)


app = create_app(
    router,
    settings=settings,
    engine=make_engine(settings),
    background_engine=make_engine(settings, role="background"),
    passwords=Passwords(min_length=settings.password_min_length),
    key_ring=key_ring,
)
handler = buffered_handler(app)
cold_start.finish()
