"""RFC 9457 problems, OpenAI's errors, and whatever else a server answers instead, as one sentence."""

import math
from collections.abc import Mapping

from cli.errors import CliError, Refused
from cli.fields import Fields
from cli.terminal import line


def refusal(problem: Fields, *, url: str, headers: Mapping[str, str], status: int) -> CliError:
    """Return the error for an answer of `status`; a body that is no problem means that another program answers at `url`."""
    problem = problem.part("error") or problem  # as the routes for OpenAI's clients answer
    sentence = line(problem.text("detail") or problem.text("title") or problem.text("message"))
    if not sentence:
        return stranger(url, f"it answered {status}")
    details = (*_field_errors(problem), *_request_id(problem, headers))
    return Refused(sentence + _retry(status, headers), status=status, code=problem.text("code"), details=details)


def stranger(url: str, evidence: str) -> CliError:
    """Return the error for an answer that Parley would not give."""
    return CliError(f"What answers at {url} does not look like Parley ({evidence}). Is the address right? Another one: --url")


def _field_errors(problem: Fields) -> list[str]:
    return [f"  {_location(error.get('loc'))}: {line(error.text('msg'))}" for error in problem.parts("errors")]


def _location(loc: object) -> str:
    steps = loc if isinstance(loc, list) else [loc]
    return line(".".join(str(step) for step in steps if step != "body")) or "body"


def _request_id(problem: Fields, headers: Mapping[str, str]) -> list[str]:
    request_id = line(problem.text("request_id") or headers.get("x-request-id", ""))
    return [f"request {request_id}"] if request_id else []


def _retry(status: int, headers: Mapping[str, str]) -> str:
    after_s = Fields({"s": headers.get("retry-after")}).number("s")
    if status not in (429, 503) or after_s is None or after_s < 0:
        return ""
    return f" Retry in {math.ceil(after_s)} s."
