"""`parley register`, `verify`, `login`, `logout` and `whoami`."""

import click

from cli import prompts
from cli.api import ApiClient
from cli.errors import CliError, NotLoggedIn, SessionEnded
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.options import with_api
from cli.output import one_line

password_from_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input, for scripts.")


@click.command()
@click.argument("email", required=False)
@click.option("--invite", metavar="CODE", help="The invite of an admin, where registration needs one.")
@password_from_stdin
@with_api
def register(api: ApiClient, email: str | None, invite: str | None, password_stdin: bool) -> None:
    """Make an account and log in to it.

    Where addresses are verified, a code is mailed and asked for; without it at hand, `parley verify` goes on later.
    """
    email, password = _read_credentials(email, from_stdin=password_stdin, confirm=True)
    body = {"email": email, "password": password} | ({"invite": invite} if invite else {})
    answer = api.public(HttpCall("POST", "/auth/register", body))
    if "access_token" in answer:
        _enter_and_welcome(api, answer, email)
        return
    prompts.announce_code(api, email)
    if password_stdin:  # standard input is used up
        click.echo(f"Go on with it: parley verify {one_line(email)}", err=True)
    else:
        _send_verification(api, email, code=_prompt_code(email), password=password)


@click.command()
@click.argument("email")
@with_api
def verify(api: ApiClient, email: str) -> None:
    """Finish a registration with the mailed code and its password, which are asked for, and log in."""
    code = _prompt_code(email)
    _send_verification(api, email, code=code, password=prompts.prompt_password())


@click.command()
@click.argument("email", required=False)
@password_from_stdin
@with_api
def login(api: ApiClient, email: str | None, password_stdin: bool) -> None:
    """Log in; later commands use this address."""
    email, password = _read_credentials(email, from_stdin=password_stdin, confirm=False)
    answer = api.public(HttpCall("POST", "/auth/login", {"email": email, "password": password}))
    _store_session(api, answer, email)
    click.echo(f"Logged in as {one_line(email)} at {api.url}")


@click.command()
@click.option("--everywhere", is_flag=True, help="End your sessions on other devices too.")
@with_api
def logout(api: ApiClient, everywhere: bool) -> None:
    """End the session here; its tokens are removed even when the server cannot be told."""
    try:
        api.fetch(HttpCall("POST", "/auth/logout", {"everywhere": True} if everywhere else {}))
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
def whoami(api: ApiClient) -> None:
    """Show who is logged in, and where."""
    me = Fields.of(api.fetch(HttpCall("GET", "/auth/me")))
    name = f" ({one_line(me.text('display_name'))})" if me.text("display_name") else ""
    click.echo(f"{one_line(me.text('email'))}{name} · {one_line(me.text('role'))} · {api.url}")


def _prompt_code(email: str) -> str:
    return prompts.prompt_code(hint=f"When you have it: parley verify {one_line(email)}")


def _send_verification(api: ApiClient, email: str, *, code: str, password: str) -> None:
    """Send the password too: the code could be of a stranger's sign-up with the same address."""
    _enter_and_welcome(api, api.public(HttpCall("POST", "/auth/verify", {"email": email, "code": code, "password": password})), email)


def _enter_and_welcome(api: ApiClient, answer: Fields, email: str) -> None:
    _store_session(api, answer, email)
    click.echo(f"Registered and logged in as {one_line(email)} at {api.url}")
    click.echo('Say something: parley chat "Hello"')


def _store_session(api: ApiClient, answer: Fields, email: str) -> None:
    api.sessions.log_in(api.url, api.session_from(answer, email=email))


def _read_credentials(email: str | None, *, from_stdin: bool, confirm: bool) -> tuple[str, str]:
    """Return address and password, asking for what is missing."""
    if from_stdin:
        if not email:
            raise click.UsageError("Give the e-mail address with --password-stdin.")
        return email, _read_password_from_stdin()
    hint = "In scripts: an argument for the address, --password-stdin for the password."
    email = email or prompts.prompt("E-mail", hint=hint)
    return email, prompts.prompt("Password", hidden=True, confirm=confirm, hint=hint)


def _read_password_from_stdin() -> str:
    given: str = click.get_text_stream("stdin", encoding="utf-8", errors="surrogateescape").read()
    password = given.removesuffix("\n").removesuffix("\r")
    if not password:
        raise click.UsageError("Standard input holds no password.")
    return password
