"""Expected failures of the client, each with a remedy, and the conversion of the API's error responses."""

import math
from collections.abc import Mapping
from typing import IO

import click

from cli.json_fields import Fields
from cli.output import one_line


class CliError(click.ClickException):
    """An expected failure: a message on stderr and exit code 1, never a traceback.

    `details` are printed dim below the message, one per line.
    """

    exit_code = 1

    def __init__(self, message: str, *, details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.details = details

    def show(self, file: IO[str] | None = None) -> None:
        """Print the message and its details on stderr."""
        click.echo(self.message, file=file, err=True)
        for detail in self.details:
            click.secho(detail, file=file, err=True, dim=True)


class NotLoggedIn(CliError):
    """No login session for this server is stored on this computer."""

    def __init__(self, url: str) -> None:
        super().__init__(f"You are not logged in at {url}. Log in: parley login (or create an account: parley register)")


class SessionEnded(CliError):
    """The server refused the refresh token: it is expired, reused or logged out."""

    def __init__(self) -> None:
        super().__init__("Your session has ended. Log in again: parley login")


class ApiProblem(CliError):
    """The API answered with an error. `status` is the HTTP status, `code` the problem document's code, and `problem` the document."""

    def __init__(self, message: str, *, status: int, code: str, details: tuple[str, ...] = (), problem: Fields | None = None) -> None:
        super().__init__(message, details=details)
        self.status = status
        self.code = code
        self.problem = problem or Fields()


class ConnectionLost(CliError):
    """The connection failed after it was made, so the server may have received the request."""


class NoServer(ConnectionLost):
    """No connection could be made."""


class StreamCutOff(ConnectionLost):
    """The event stream ended before the turn did, so the answer shown may be incomplete."""

    def __init__(self) -> None:
        super().__init__("The connection was lost before the answer was complete. To see the stored part: parley history")


class TurnUnfinished(CliError):
    """The turn ended properly but without a complete answer."""


class EnvironmentMissing(CliError):
    """An emulator command was called outside an installed checkout."""

    def __init__(self, command: str, *, missing: str) -> None:
        super().__init__(
            f"`parley {command}` needs the project's environment. In a checkout of Parley, run `make up` once.",
            details=(f"cannot import: {missing}",),
        )


def error_from_answer(problem: Fields, *, url: str, headers: Mapping[str, str], status: int) -> CliError:
    """Return the error for a response with an error status. A body without a message means the server is not Parley."""
    problem = problem.part("error") or problem  # OpenAI-compatible routes wrap their errors
    message = one_line(problem.text("detail") or problem.text("title") or problem.text("message"))
    if not message:
        return not_parley(url, f"it answered {status}")
    details = (*_field_errors(problem), *_request_id(problem, headers))
    return ApiProblem(message + _retry_hint(status, headers), status=status, code=problem.text("code"), details=details, problem=problem)


def not_parley(url: str, evidence: str) -> CliError:
    """Return the error for a response that Parley would never send."""
    return CliError(f"The server at {url} does not look like Parley ({evidence}). Check the address, or name another one with --url.")


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
