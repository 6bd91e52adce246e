"""The keys' home: SecureString parameters in the SSM Parameter Store, under one path."""

import base64
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import batched
from typing import Any

from parley.auth.public_keys import KEY_FAMILIES, KeyFamily
from parley.auth.signing_keys import KeyRing, SigningKey
from parley.clock import utc_now
from parley.errors import Unavailable

_REFRESH, _ENCRYPTION = "refresh", "sealing"
_SECRET_BYTES = 32
_DELETE_BATCH_SIZE = 10


@cache
def _ssm() -> Any:
    import boto3  # 0.2 s that only a function with keys pays
    from botocore.config import Config

    return boto3.client("ssm", config=Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2}))


@contextmanager
def _translate_errors(path: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as exc:
        raise Unavailable(f"key store {path}") from exc


def _read(path: str) -> dict[str, str]:
    with _translate_errors(path):
        pages = _ssm().get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True, WithDecryption=True)
        parameters = [parameter for page in pages for parameter in page["Parameters"]]
    return {parameter["Name"].removeprefix(path + "/"): parameter["Value"] for parameter in parameters}


def _write(path: str, name: str, value: str) -> None:
    with _translate_errors(path):
        _ssm().put_parameter(Name=f"{path}/{name}", Value=value, Type="SecureString")


def _parameter_name(key: SigningKey) -> str:
    return f"{key.family}/{key.kid}"


def _keys(stored: dict[str, str]) -> list[SigningKey]:
    named = [(family, value) for family in KEY_FAMILIES for name, value in stored.items() if name.startswith(f"{family}/")]
    return [SigningKey.from_json(value, family=family) for family, value in named]


def load_keys(path: str, *, issuer: str) -> KeyRing:
    """Read the key ring under `path`, by which `issuer` signs.

    Raises Unavailable while the store does not answer or `ensure_keys` has not made the ring.
    """
    stored = _read(path)
    try:
        return KeyRing.of(_keys(stored), refresh_secret=base64.b64decode(stored[_REFRESH]), issuer=issuer)
    except (ValueError, KeyError, TypeError) as exc:
        raise Unavailable(f"key ring {path}") from exc


def load_signing_keys(path: str) -> list[SigningKey]:
    """Read the private keys under `path`, of every family."""
    return _keys(_read(path))


def add_key(path: str, key: SigningKey) -> str:
    """Store a new key and return its name."""
    _write(path, _parameter_name(key), key.to_json())
    return _parameter_name(key)


def delete_keys(path: str, keys: Iterable[SigningKey]) -> list[str]:
    """Delete keys for good and return their names; one that is gone already is no error."""
    names = [_parameter_name(key) for key in keys]
    for some in batched(names, _DELETE_BATCH_SIZE, strict=False):
        with _translate_errors(path):
            _ssm().delete_parameters(Names=[f"{path}/{name}" for name in some])
    return names


def ensure_keys(path: str) -> list[str]:
    """Make what is missing of the key ring under `path`; return the names of what was made. Safe to repeat."""
    stored = _read(path)
    missing: list[KeyFamily] = [family for family in KEY_FAMILIES if not any(name.startswith(f"{family}/") for name in stored)]
    made = [add_key(path, SigningKey.generate(now=utc_now(), family=family)) for family in missing]
    for name in (_REFRESH, _ENCRYPTION):
        if name not in stored:
            _write(path, name, base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode())
            made.append(name)
    return made


def load_encryption_key(path: str) -> bytes:
    """Read the key that seals what users entrust to the database (32 bytes). It needs the right to this one parameter only.

    Raises Unavailable while the store does not answer or `ensure_keys` has not made it.
    """
    with _translate_errors(path):
        found = _ssm().get_parameter(Name=f"{path}/{_ENCRYPTION}", WithDecryption=True)
    return base64.b64decode(found["Parameter"]["Value"])
