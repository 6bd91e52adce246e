"""Expected failures, each a sentence that says what to do next; and the failures that a server's answer stands for."""

import math
from collections.abc import Mapping
from typing import IO

import click

from cli.json_fields import Fields
from cli.output import one_line


class CliError(click.ClickException):
    """An expected failure: its message on stderr, exit code 1, never a traceback.

    `details` are shown under the sentence, dim, one a line.
    """

    exit_code = 1

    def __init__(self, message: str, *, details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.details = details

    def show(self, file: IO[str] | None = None) -> None:
        """Print the sentence and its details on stderr."""
        click.echo(self.message, file=file, err=True)
        for detail in self.details:
            click.secho(detail, file=file, err=True, dim=True)


class NotLoggedIn(CliError):
    """There is no session for this address on this computer."""

    def __init__(self, url: str) -> None:
        super().__init__(f"You are not logged in at {url}. Log in: parley login (or make an account: parley register)")


class SessionEnded(CliError):
    """The refresh token was refused: expired, used elsewhere, or logged out."""

    def __init__(self) -> None:
        super().__init__("Your session has ended. Log in again: parley login")


class ApiProblem(CliError):
    """The API answered with a problem; `status` and `code` are its own."""

    def __init__(self, message: str, *, status: int, code: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(message, details=details)
        self.status = status
        self.code = code


class StreamCutOff(CliError):
    """The stream ended before the turn did: what was shown may not be all."""

    def __init__(self) -> None:
        super().__init__("The answer was cut off before its end. What was kept of it: parley history")


class TurnUnfinished(CliError):
    """The turn ended in an orderly way, but without a complete answer."""


class EnvironmentMissing(CliError):
    """A command of the emulator was called where the project is not installed."""

    def __init__(self, command: str, *, missing: str) -> None:
        super().__init__(
            f"`parley {command}` needs the project's environment. In a checkout of Parley, run `make up` once.",
            details=(f"not importable here: {missing}",),
        )


def error_from_answer(problem: Fields, *, url: str, headers: Mapping[str, str], status: int) -> CliError:
    """Return the error for an answer of `status`; a body that is no problem means that another program answers at `url`."""
    problem = problem.part("error") or problem  # as the routes for OpenAI's clients answer
    sentence = one_line(problem.text("detail") or problem.text("title") or problem.text("message"))
    if not sentence:
        return not_parley(url, f"it answered {status}")
    details = (*_field_errors(problem), *_request_id(problem, headers))
    return ApiProblem(sentence + _retry_hint(status, headers), status=status, code=problem.text("code"), details=details)


def not_parley(url: str, evidence: str) -> CliError:
    """Return the error for an answer that Parley would not give."""
    return CliError(f"What answers at {url} does not look like Parley ({evidence}). Is the address right? Another one: --url")


def _field_errors(problem: Fields) -> list[str]:
    return [f"  {_location(error.get('loc'))}: {one_line(error.text('msg'))}" for error in problem.parts("errors")]


def _location(loc: object) -> str:
    steps = loc if isinstance(loc, list) else [loc]
    return one_line(".".join(str(step) for step in steps if step != "body")) or "body"


def _request_id(problem: Fields, headers: Mapping[str, str]) -> list[str]:
    request_id = one_line(problem.text("request_id") or headers.get("x-request-id", ""))
    return [f"request {request_id}"] if request_id else []


def _retry_hint(status: int, headers: Mapping[str, str]) -> str:
    after_s = Fields({"s": headers.get("retry-after")}).number("s")
    if status not in (429, 503) or after_s is None or after_s < 0:
        return ""
    return f" Retry in {math.ceil(after_s)} s."
