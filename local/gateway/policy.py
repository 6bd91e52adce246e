"""Parse the IAM policy in an authorizer's result, and decide whether it allows a method."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_ACTIONS = ("execute-api:invoke", "execute-api:*", "*")


class PolicyMalformed(Exception):
    """API Gateway would reject the authorizer's result."""


@dataclass(frozen=True)
class Statement:
    """An Allow or a Deny for the method ARNs that match `resources`, which may contain the wildcards `*` and `?`."""

    is_allow: bool
    resources: tuple[str, ...]

    def covers(self, arn: str) -> bool:
        return any(_pattern(resource).fullmatch(arn) for resource in self.resources)


@dataclass(frozen=True)
class Grant:
    """An authorizer's result: the principal, the context passed to the function, and the policy."""

    principal: str
    context: dict[str, str]
    statements: tuple[Statement, ...]

    @classmethod
    def parse(cls, answer: Any) -> "Grant":
        """Return the grant in an authorizer's result. Raises `PolicyMalformed` with the reason."""
        try:
            statements = answer["policyDocument"]["Statement"]
            listed = statements if isinstance(statements, list) else [statements]
            parsed = tuple(_statement(one) for one in listed)
            principal = answer["principalId"]
        except (KeyError, TypeError) as error:
            raise PolicyMalformed(f"the result lacks {error}") from error
        if not isinstance(principal, str):
            raise PolicyMalformed("principalId is not a string")
        return cls(principal, _string_context(answer.get("context")), parsed)

    def allows(self, arn: str) -> bool:
        """Return whether a statement allows `arn` and no statement denies it."""
        return not self.denies(arn) and any(one.is_allow and one.covers(arn) for one in self.statements)

    def denies(self, arn: str) -> bool:
        """Return whether a statement denies `arn`; a Deny outweighs any Allow."""
        return any(not one.is_allow and one.covers(arn) for one in self.statements)


def _statement(statement: Any) -> Statement:
    effect = statement["Effect"]
    if effect not in ("Allow", "Deny"):
        raise PolicyMalformed(f"Effect is {effect!r}")
    if not any(action.lower() in _ACTIONS for action in _string_list(statement["Action"])):
        return Statement(effect == "Allow", ())
    return Statement(effect == "Allow", tuple(_string_list(statement["Resource"])))


def _string_list(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in values):
        raise PolicyMalformed(f"{value!r} is not a string or a list of strings")
    return values


def _string_context(context: Any) -> dict[str, str]:
    """Return the context with every value as a string, as API Gateway passes it on. Raises `PolicyMalformed` for nested values."""
    if context is None:
        return {}
    if not isinstance(context, dict):
        raise PolicyMalformed("context is not an object")
    return {str(key): _context_value(key, value) for key, value in context.items()}


def _context_value(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise PolicyMalformed(f"context.{key} is {type(value).__name__}; only strings, numbers and booleans are allowed")


@lru_cache(maxsize=1024)
def _pattern(resource: str) -> re.Pattern[str]:
    translated = re.escape(resource).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(translated, re.DOTALL)
