"""The key store: SecureString parameters of the SSM Parameter Store under one path."""

import base64
import secrets
from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import cache
from itertools import batched
from typing import Any

from parley.auth.public_keys import KEY_FAMILIES, KeyFamily
from parley.auth.signing_keys import KeyRing, SigningKey
from parley.aws.client import aws_client, translated_errors
from parley.clock import utc_now
from parley.errors import Unavailable

_REFRESH, _ENCRYPTION = "refresh", "sealing"
_SECRET_BYTES = 32
_DELETE_BATCH_SIZE = 10


@cache
def _ssm() -> Any:
    return aws_client("ssm", read_timeout_s=3)


def _translate_errors(path: str) -> AbstractContextManager[None]:
    return translated_errors(lambda _code, _error: Unavailable(f"key store {path}"))


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
    """Load the key ring stored under `path`. Tokens signed with its keys name `issuer` as their issuer.

    Raises Unavailable if the store cannot be read or `ensure_keys` has not created the keys.
    """
    stored = _read(path)
    try:
        return KeyRing.of(_keys(stored), refresh_secret=base64.b64decode(stored[_REFRESH]), issuer=issuer)
    except (ValueError, KeyError, TypeError) as exc:
        raise Unavailable(f"key ring {path}") from exc


def load_signing_keys(path: str) -> list[SigningKey]:
    """Load the private keys of all families stored under `path`."""
    return _keys(_read(path))


def add_key(path: str, key: SigningKey) -> str:
    """Store a new key and return its parameter name, relative to `path`."""
    _write(path, _parameter_name(key), key.to_json())
    return _parameter_name(key)


def delete_keys(path: str, keys: Iterable[SigningKey]) -> list[str]:
    """Delete keys permanently and return their parameter names, relative to `path`. A key that is already deleted is not an error."""
    names = [_parameter_name(key) for key in keys]
    for batch in batched(names, _DELETE_BATCH_SIZE, strict=False):
        with _translate_errors(path):
            _ssm().delete_parameters(Names=[f"{path}/{name}" for name in batch])
    return names


def ensure_keys(path: str) -> list[str]:
    """Create the keys and secrets that are missing under `path`, and return their names. Safe to repeat."""
    stored = _read(path)
    missing: list[KeyFamily] = [family for family in KEY_FAMILIES if not any(name.startswith(f"{family}/") for name in stored)]
    created = [add_key(path, SigningKey.generate(now=utc_now(), family=family)) for family in missing]
    for name in (_REFRESH, _ENCRYPTION):
        if name not in stored:
            _write(path, name, base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode())
            created.append(name)
    return created


def load_encryption_key(path: str) -> bytes:
    """Load the 32-byte key that encrypts users' secrets in the database. Reads only this parameter.

    Raises Unavailable if the store cannot be read or `ensure_keys` has not created the key.
    """
    with _translate_errors(path):
        response = _ssm().get_parameter(Name=f"{path}/{_ENCRYPTION}", WithDecryption=True)
    return base64.b64decode(response["Parameter"]["Value"])
