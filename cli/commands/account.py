"""`parley register`, `verify`, `login`, `logout` and `whoami`."""

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.errors import CliError, NotLoggedIn, SessionEnded
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.options import with_api
from cli.output import one_line


@click.command()
@click.argument("email", required=False)
@click.option("--invite", metavar="CODE", help="Invite code from an admin, if registration requires one.")
@terminal_input.password_from_stdin
@with_api
def register(api: ApiClient, email: str | None, invite: str | None, password_stdin: bool) -> None:
    """Create an account and log in.

    If the server verifies addresses, it e-mails a code and the command asks for it. To enter the code later: parley verify
    """
    email, password = _read_credentials(email, from_stdin=password_stdin, confirm=True)
    body = {"email": email, "password": password} | ({"invite": invite} if invite else {})
    answer = api.public(HttpCall("POST", "/auth/register", body))
    if "access_token" in answer:
        _log_in_and_welcome(api, answer, email)
        return
    terminal_input.announce_code(api, email)
    if password_stdin:  # standard input is already read to its end
        click.echo(f"To enter the code: parley verify {one_line(email)}", err=True)
    else:
        _send_verification(api, email, code=_prompt_code(email), password=password)


@click.command()
@click.argument("email")
@with_api
def verify(api: ApiClient, email: str) -> None:
    """Finish a registration with the e-mailed code and the password, and log in."""
    code = _prompt_code(email)
    _send_verification(api, email, code=code, password=terminal_input.prompt_password())


@click.command()
@click.argument("email", required=False)
@terminal_input.password_from_stdin
@click.option("--oidc", is_flag=False, flag_value="", metavar="[ISSUER]", help="Sign in in the browser with your organization's account.")
@click.option("--code", metavar="CODE", help="A code of your authenticator app or a recovery code, for scripts.")
@with_api
def login(api: ApiClient, email: str | None, password_stdin: bool, oidc: str | None, code: str | None) -> None:
    """Log in. Later commands use this server by default."""
    if oidc is not None:
        from cli.browser_login import log_in_by_browser

        session = api.session_from(log_in_by_browser(api, oidc), email="")
        api.sessions.log_in(api.url, session)
        click.echo(f"Logged in as {one_line(session.email)} at {api.url}")
        return
    email, password = _read_credentials(email, from_stdin=password_stdin, confirm=False)
    answer = api.public(HttpCall("POST", "/auth/login", {"email": email, "password": password}))
    if challenge := answer.text("challenge"):
        code = code or terminal_input.prompt("Code of the authenticator app", hint="In scripts, pass it with --code.")
        answer = api.public(HttpCall("POST", "/auth/login/second-factor", {"challenge": challenge, "code": code.strip()}))
    _store_session(api, answer, email)
    click.echo(f"Logged in as {one_line(email)} at {api.url}")


@click.command()
@click.option("--everywhere", is_flag=True, help="End your sessions on all devices.")
@with_api
def logout(api: ApiClient, everywhere: bool) -> None:
    """Log out. The tokens on this computer are removed even if the server cannot be reached.

    After a login at an issuer, the command prints the address at which you log out there too.
    """
    answer: object = None
    try:
        answer = api.fetch(HttpCall("POST", "/auth/logout", {"everywhere": True} if everywhere else {}))
    except NotLoggedIn:
        raise
    except SessionEnded:
        pass  # the server had already ended the session
    except CliError as exc:
        click.echo(f"The session could not be ended on the server: {exc.message}", err=True)
    api.sessions.forget(api.url)
    click.echo(f"Logged out from {api.url}")
    if answer is not None:
        issuer = Fields.of(answer)
        click.echo(f"To log out of {one_line(issuer.text('label'))} too, visit:\n{one_line(issuer.text('url'))}")


@click.command()
@with_api
def whoami(api: ApiClient) -> None:
    """Show which account is logged in, and where."""
    me = Fields.of(api.fetch(HttpCall("GET", "/auth/me")))
    name = f" ({one_line(me.text('display_name'))})" if me.text("display_name") else ""
    click.echo(f"{one_line(me.text('email'))}{name} · {one_line(me.text('role'))} · {api.url}")


def _prompt_code(email: str) -> str:
    return terminal_input.prompt_code(hint=f"To enter it later: parley verify {one_line(email)}")


def _send_verification(api: ApiClient, email: str, *, code: str, password: str) -> None:
    """Send the code with the password, because the code may belong to another person's sign-up with the same address."""
    _log_in_and_welcome(api, api.public(HttpCall("POST", "/auth/verify", {"email": email, "code": code, "password": password})), email)


def _log_in_and_welcome(api: ApiClient, answer: Fields, email: str) -> None:
    _store_session(api, answer, email)
    click.echo(f"Registered and logged in as {one_line(email)} at {api.url}")
    if not _needs_second_factor(answer):
        click.echo('Send a first message: parley chat "Hello"')


def _store_session(api: ApiClient, answer: Fields, email: str) -> None:
    api.sessions.log_in(api.url, api.session_from(answer, email=email))
    if _needs_second_factor(answer):
        click.echo("This server demands a second factor. Add an authenticator app: parley second-factor on", err=True)
        click.echo("If your account has a passkey, sign in with it in the page and add the app there. Then log in here again.", err=True)


def _needs_second_factor(answer: Fields) -> bool:
    return answer.get("needs_second_factor") is True


def _read_credentials(email: str | None, *, from_stdin: bool, confirm: bool) -> tuple[str, str]:
    """Return the e-mail address and the password, prompting for missing values."""
    if from_stdin:
        if not email:
            raise click.UsageError("--password-stdin needs the e-mail address as an argument.")
        return email, terminal_input.read_password_from_stdin()
    hint = "In scripts, pass the address as an argument and the password with --password-stdin."
    email = email or terminal_input.prompt("E-mail", hint=hint)
    return email, terminal_input.prompt("Password", hidden=True, confirm=confirm, hint=hint)
