"""Commands for who you are: register, login, logout, whoami."""

import warnings
from getpass import GetPassWarning

import click

from cli.api import Api
from cli.connection import Call
from cli.errors import CliError, NotLoggedIn, SessionEnded
from cli.fields import Fields
from cli.options import with_api
from cli.terminal import line

password_from_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input, for scripts.")


@click.command()
@click.argument("email", required=False)
@password_from_stdin
@with_api
def register(api: Api, email: str | None, password_stdin: bool) -> None:
    """Make an account and log in to it."""
    email, password = _credentials(email, from_stdin=password_stdin, confirm=True)
    answer = api.public(Call("POST", "/auth/register", {"email": email, "password": password}))
    if "access_token" not in answer:  # 202: the address has to be verified first
        click.echo(f"A message was sent to {line(email)}. Follow it, then log in: parley login")
        return
    _enter(api, answer, email)
    click.echo(f"Registered and logged in as {line(email)} at {api.url}")
    click.echo('Say something: parley chat "Hello"')


@click.command()
@click.argument("email", required=False)
@password_from_stdin
@with_api
def login(api: Api, email: str | None, password_stdin: bool) -> None:
    """Log in; later commands use this address."""
    email, password = _credentials(email, from_stdin=password_stdin, confirm=False)
    answer = api.public(Call("POST", "/auth/login", {"email": email, "password": password}))
    _enter(api, answer, email)
    click.echo(f"Logged in as {line(email)} at {api.url}")


@click.command()
@click.option("--everywhere", is_flag=True, help="End your sessions on other devices too.")
@with_api
def logout(api: Api, everywhere: bool) -> None:
    """End the session here; its tokens are removed even when the server cannot be told."""
    try:
        api.fetch(Call("POST", "/auth/logout", {"everywhere": True} if everywhere else {}))
    except NotLoggedIn:
        raise
    except SessionEnded:
        pass  # the server had ended it before us
    except CliError as exc:
        click.echo(f"The server was not told: {exc.message}", err=True)
    api.sessions.forget(api.url)
    click.echo(f"Logged out from {api.url}")


@click.command()
@with_api
def whoami(api: Api) -> None:
    """Show who is logged in, and where."""
    me = Fields.of(api.fetch(Call("GET", "/auth/me")))
    name = f" ({line(me.text('display_name'))})" if me.text("display_name") else ""
    click.echo(f"{line(me.text('email'))}{name} · {line(me.text('role'))} · {api.url}")


def _enter(api: Api, answer: Fields, email: str) -> None:
    api.sessions.log_in(api.url, api.granted(answer, email=email))


def _credentials(email: str | None, *, from_stdin: bool, confirm: bool) -> tuple[str, str]:
    """Return address and password, asking for what is missing."""
    if from_stdin:
        if not email:
            raise click.UsageError("Give the e-mail address with --password-stdin.")
        return email, _password_on_stdin()
    email = email or _asked("E-mail")
    return email, _asked("Password", hidden=True, confirm=confirm)


def _password_on_stdin() -> str:
    given: str = click.get_text_stream("stdin", encoding="utf-8", errors="surrogateescape").read()
    password = given.removesuffix("\n").removesuffix("\r")
    if not password:
        raise click.UsageError("Standard input holds no password.")
    return password


def _asked(label: str, *, hidden: bool = False, confirm: bool = False) -> str:
    try:
        with warnings.catch_warnings():
            # Without a terminal the password comes from standard input, where there is no echo to warn of.
            warnings.simplefilter("ignore", GetPassWarning)
            answer: str = click.prompt(label, hide_input=hidden, confirmation_prompt=confirm, err=True)
    except click.Abort as exc:
        if isinstance(exc.__context__, EOFError):
            raise click.UsageError(
                f"{label} is missing. In scripts: an argument for the address, --password-stdin for the password."
            ) from exc
        raise
    return answer
