"""The signing keys' home: SecureString parameters in the SSM Parameter Store, under one path."""

import base64
import secrets
from functools import cache
from typing import Any

from parley.auth.signing_keys import KeyRing, SigningKey
from parley.clock import utc_now
from parley.errors import Unavailable

_SIGNING, _REFRESH = "signing", "refresh"


@cache
def _ssm() -> Any:
    import boto3  # 0.2 s that only a function with keys pays

    return boto3.client("ssm")


def _read(path: str) -> dict[str, str]:
    pages = _ssm().get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True, WithDecryption=True)
    parameters = (parameter for page in pages for parameter in page["Parameters"])
    return {parameter["Name"].removeprefix(path + "/"): parameter["Value"] for parameter in parameters}


def _write(path: str, name: str, value: str) -> None:
    _ssm().put_parameter(Name=f"{path}/{name}", Value=value, Type="SecureString")


def load_keys(path: str) -> KeyRing:
    """Read the key ring under `path`. Raises Unavailable until `ensure_keys` has made it."""
    stored = _read(path)
    if _REFRESH not in stored or not any(name.startswith(_SIGNING) for name in stored):
        raise Unavailable(f"key ring {path}")
    keys = [SigningKey.from_json(value) for name, value in stored.items() if name.startswith(_SIGNING)]
    return KeyRing.of(keys, refresh_secret=base64.b64decode(stored[_REFRESH]))


def ensure_keys(path: str) -> list[str]:
    """Make what is missing of the key ring under `path`; return the names of what was made. Safe to repeat."""
    stored, made = _read(path), []
    if not any(name.startswith(_SIGNING) for name in stored):
        key = SigningKey.generate(now=utc_now())
        _write(path, f"{_SIGNING}/{key.kid}", key.to_json())
        made.append(f"{_SIGNING}/{key.kid}")
    if _REFRESH not in stored:
        _write(path, _REFRESH, base64.b64encode(secrets.token_bytes(32)).decode())
        made.append(_REFRESH)
    return made
