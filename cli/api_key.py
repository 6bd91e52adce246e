"""The API key in `PARLEY_API_KEY`: what scripts use instead of a login."""

import os

from cli.errors import CliError

VARIABLE = "PARLEY_API_KEY"


class KeyRefused(CliError):
    """The server knows no such key, or not any more."""

    def __init__(self, url: str) -> None:
        super().__init__(f"The API key in {VARIABLE} is not valid at {url}: expired, revoked, or of another Parley. See: parley api-keys")


def key_of_environment() -> str | None:
    """Return the API key, or None where there is none; raises `CliError` for what can be none."""
    key = os.environ.get(VARIABLE, "").strip()
    if not all("!" <= char <= "~" for char in key):
        raise CliError(f"{VARIABLE} holds something else than an API key. Make one: parley api-keys create NAME")
    return key or None
