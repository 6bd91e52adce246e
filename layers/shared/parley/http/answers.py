"""What a route may answer beside its success, declared at the route; `make openapi` reads it."""

from typing import Any

from parley.errors import ParleyError

CODES = "x-codes"


def problems(*errors: type[ParleyError]) -> dict[int | str, dict[str, Any]]:
    """Declare errors as a route's `responses`, beside those that its parameters, its body and its guards bring anyhow."""
    declared: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        answer = declared.setdefault(error.status, {"description": "", CODES: {}})
        answer[CODES][error.code] = (error.__doc__ or "").partition("\n")[0]
    return declared
