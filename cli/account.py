"""Commands for who you are: register, verify, login, logout, whoami."""

import click

from cli import mailed, prompts
from cli.api import Api
from cli.connection import Call
from cli.errors import CliError, NotLoggedIn, SessionEnded
from cli.fields import Fields
from cli.options import with_api
from cli.terminal import line

password_from_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input, for scripts.")


@click.command()
@click.argument("email", required=False)
@click.option("--invite", metavar="CODE", help="The invite of an admin, where registration needs one.")
@password_from_stdin
@with_api
def register(api: Api, email: str | None, invite: str | None, password_stdin: bool) -> None:
    """Make an account and log in to it.

    Where addresses are verified, a code is mailed and asked for; without it at hand, `parley verify` goes on later.
    """
    email, password = _credentials(email, from_stdin=password_stdin, confirm=True)
    wish = {"email": email, "password": password} | ({"invite": invite} if invite else {})
    answer = api.public(Call("POST", "/auth/register", wish))
    if "access_token" in answer:
        _welcome(api, answer, email)
        return
    mailed.tell(api, email)
    if password_stdin:  # standard input is used up
        click.echo(f"Go on with it: parley verify {line(email)}", err=True)
    else:
        _verify(api, email, code=_code(email), password=password)


@click.command()
@click.argument("email")
@with_api
def verify(api: Api, email: str) -> None:
    """Finish a registration with the mailed code and its password, which are asked for, and log in."""
    code = _code(email)
    _verify(api, email, code=code, password=prompts.password())


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


def _code(email: str) -> str:
    return prompts.code(otherwise=f"When you have it: parley verify {line(email)}")


def _verify(api: Api, email: str, *, code: str, password: str) -> None:
    """Send the password too: the code could be of a stranger's sign-up with the same address."""
    _welcome(api, api.public(Call("POST", "/auth/verify", {"email": email, "code": code, "password": password})), email)


def _welcome(api: Api, answer: Fields, email: str) -> None:
    _enter(api, answer, email)
    click.echo(f"Registered and logged in as {line(email)} at {api.url}")
    click.echo('Say something: parley chat "Hello"')


def _enter(api: Api, answer: Fields, email: str) -> None:
    api.sessions.log_in(api.url, api.granted(answer, email=email))


def _credentials(email: str | None, *, from_stdin: bool, confirm: bool) -> tuple[str, str]:
    """Return address and password, asking for what is missing."""
    if from_stdin:
        if not email:
            raise click.UsageError("Give the e-mail address with --password-stdin.")
        return email, _password_on_stdin()
    otherwise = "In scripts: an argument for the address, --password-stdin for the password."
    email = email or prompts.asked("E-mail", otherwise=otherwise)
    return email, prompts.asked("Password", hidden=True, confirm=confirm, otherwise=otherwise)


def _password_on_stdin() -> str:
    given: str = click.get_text_stream("stdin", encoding="utf-8", errors="surrogateescape").read()
    password = given.removesuffix("\n").removesuffix("\r")
    if not password:
        raise click.UsageError("Standard input holds no password.")
    return password
