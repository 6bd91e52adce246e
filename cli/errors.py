"""What can be expected to go wrong, each as a sentence that says what to do next."""

from typing import IO

import click


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


class Refused(CliError):
    """The API answered with a problem; `status` and `code` are its own."""

    def __init__(self, message: str, *, status: int, code: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(message, details=details)
        self.status = status
        self.code = code


class CutOff(CliError):
    """The stream ended before the turn did: what was shown may not be all."""

    def __init__(self) -> None:
        super().__init__("The answer was cut off before its end. What was kept of it: parley history")


class Unfinished(CliError):
    """The turn ended in an orderly way, but without a complete answer."""


class EnvironmentMissing(CliError):
    """A command of the emulator was called where the project is not installed."""

    def __init__(self, command: str, *, missing: str) -> None:
        super().__init__(
            f"`parley {command}` needs the project's environment. In a checkout of Parley, run `make up` once.",
            details=(f"not importable here: {missing}",),
        )
