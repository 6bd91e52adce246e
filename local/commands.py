"""The emulator's commands in `parley`: up, invoke, status, logs, keys and reset. Each command imports heavy modules only when it runs."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Literal

import click

from local.sam_build.tree import DEFAULT_BUILD, BuildTree
from local.settings import DEFAULT_DATA, DEFAULT_PORT, DEFAULT_TEMPLATE, DEFAULT_WORKERS, EmulatorSettings

_KEYS_FUNCTION = "KeysFunction"

_port_option = click.option(
    "--port", envvar="PARLEY_PORT", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True, help="The stack's local port."
)
_data_option = click.option("--data", envvar="PARLEY_DATA", default=DEFAULT_DATA, show_default=True, help="Folder for all data.")


@click.group()
def keys() -> None:
    """Manage the keys that sign tokens."""


@keys.command()
@click.option("--now", "is_emergency", is_flag=True, help="Invalidate every access token within a minute, because a key may have leaked.")
@click.option("--api-keys", "includes_api_keys", is_flag=True, help="With --now: invalidate every API key too.")
@_port_option
def rotate(is_emergency: bool, includes_api_keys: bool, port: int) -> None:
    """Create new signing keys. Old keys are removed once no valid token is signed by them."""
    if includes_api_keys and not is_emergency:
        raise click.UsageError("--api-keys requires --now, because programs with an API key have no other credential")
    event = {"emergency": is_emergency, "api_keys": includes_api_keys}
    changes = _invoke(port, _KEYS_FUNCTION, json.dumps(event))
    for change in ("made", "removed"):
        click.echo(f"{change:8} {', '.join(changes[change]) or 'none'}")


@click.command()
@_port_option
@click.option(
    "--host",
    envvar="PARLEY_HOST",
    type=click.Choice(["127.0.0.1", "0.0.0.0"]),
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. 0.0.0.0 is for containers: anyone who reaches the port may use the emulator's own commands.",
)
@click.option(
    "--aws-port",
    envvar="PARLEY_AWS_PORT",
    type=click.IntRange(1, 65535),
    help="Port of the AWS stand-in, which receives uploads.  [default: a free one]",
)
@click.option(
    "--database",
    "database_url",
    envvar="PARLEY_DATABASE_URL",
    default="",
    metavar="URL",
    help="A PostgreSQL with pgvector to use instead of an embedded one: postgresql://SUPERUSER:PASSWORD@HOST:PORT.",
)
@_data_option
@click.option("--models", envvar="PARLEY_MODELS", default="", help="A models.toml to use instead of the shipped one.")
@click.option("--template", help="The stack to run.  [default: template.yaml]")
@click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Set a parameter of the template; may be repeated.")
@click.option("--pgbouncer/--no-pgbouncer", default=True, help="Use PgBouncer in front of PostgreSQL if it is installed.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=DEFAULT_WORKERS, show_default=True, help="Maximum number of processes per function."
)
@click.option(
    "--built",
    is_flag=False,
    flag_value=str(DEFAULT_BUILD),
    metavar="[FOLDER]",
    help=f"Run the output of `make build` with nothing else on the search path.  [folder: {DEFAULT_BUILD}]",
)
@click.option(
    "--warm/--no-warm", envvar="PARLEY_WARM", default=True, help="Start a process for each function at once, not at its first request."
)
@click.option("--watch/--no-watch", default=True, help="Reload saved changes (never with --built).")
@click.option("--stand-in", is_flag=True, hidden=True, help="Run the workers with the Python stand-in for AWS's native client.")
@click.option("--verbose", is_flag=True, help="Show every line that the functions log, unchanged.")
def up(
    port: int,
    host: str,
    aws_port: int | None,
    database_url: str,
    data: str,
    models: str,
    template: str | None,
    parameters: tuple[str, ...],
    pgbouncer: bool,
    workers: int,
    built: str | None,
    warm: bool,
    watch: bool,
    stand_in: bool,
    verbose: bool,
) -> None:
    """Run the whole stack on this machine."""
    if built and template:
        raise click.UsageError("--built has its own template; omit --template")
    tree = BuildTree(Path(built)) if built else None
    settings = EmulatorSettings(
        port=port,
        host=host,
        aws_port=aws_port,
        database_url=database_url,
        data=Path(data or DEFAULT_DATA),
        template=tree.template if tree else Path(template or DEFAULT_TEMPLATE),
        built=tree.root if tree else None,
        models=_existing(models),
        parameters=dict(_parse_parameter(text) for text in parameters),
        wants_pgbouncer=pgbouncer,
        workers=workers,
        wants_warm=warm,
        wants_watch=watch,
        wants_stand_in=stand_in,
        is_verbose=verbose,
    )
    _run(settings)


@click.command()
@click.argument("function")
@click.option("-e", "--event", "source", required=True, metavar="FILE", help="File with the event as JSON; - reads standard input.")
@_port_option
def invoke(function: str, source: str, port: int) -> None:
    """Invoke a function of the running stack and print its result."""
    event = sys.stdin.read() if source == "-" else _existing_file(source).read_text(encoding="utf-8")
    click.echo(_json_text(_invoke(port, function, event)))


@click.command()
@_port_option
def status(port: int) -> None:
    """Show the functions, schedules, queues, buckets and services of the running stack."""
    from local.client import StackRequestFailed, read_status, status_table

    try:
        click.echo(status_table(read_status(port)))
    except StackRequestFailed as error:
        raise click.ClickException(str(error)) from error


@click.command()
@_data_option
@click.option("-f", "--follow", "follows", is_flag=True, help="Continue with new lines until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(min=0), help="Show at most this many old lines.  [default: all]")
@click.option("--turn", metavar="ID", help="Only lines of this turn, its tools and its follow-up work.")
@click.option("--user", metavar="ID", help="Only lines of this user's requests and jobs.")
@click.option("--request", metavar="ID", help="Only lines of this request and its jobs: X-Request-Id, or its beginning.")
@click.option("--function", "functions", multiple=True, metavar="NAME", help="Only this function, such as chat; may be repeated.")
@click.option(
    "--level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False), default="DEBUG", help="Lowest level."
)
@click.option("--json", "as_json", is_flag=True, help="Print the lines as they were logged.")
def logs(
    data: str,
    follows: bool,
    lines: int | None,
    turn: str | None,
    user: str | None,
    request: str | None,
    functions: tuple[str, ...],
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"],
    as_json: bool,
) -> None:
    """Show what the functions of the local stack have logged since it started, oldest first."""
    from local.data_dir import DataDir
    from local.log_search import LogFilter, show_logs
    from local.logs import short_name

    folder = DataDir(Path(data or DEFAULT_DATA)).logs
    if not folder.is_dir():
        raise click.ClickException(f"{folder} does not exist: start the stack with `parley up`")
    names = tuple(short_name(name) for name in functions)
    log_filter = LogFilter(functions=names, level=level, turn=turn, user=user, request=request)
    show_logs(folder, log_filter, lines=lines, follows=follows, as_json=as_json)


@click.command()
@_data_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def reset(data: str, yes: bool) -> None:
    """Delete all the emulator's data: accounts, conversations, keys, logs."""
    from local.data_dir import DataDir, DataDirInUse

    folder = DataDir(Path(data or DEFAULT_DATA))
    if not folder.root.is_dir():
        click.echo(f"nothing to delete: {folder.path} does not exist")
        return
    if not yes:
        click.confirm(f"Delete everything in {folder.path}?", abort=True)
    try:
        folder.delete()
    except DataDirInUse as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"deleted {folder.path}")


def _invoke(port: int, function: str, event: str) -> Any:
    """Return the function's result; if the function fails, print its error object and exit."""
    from local.client import FunctionFailed, StackRequestFailed, invoke_function

    try:
        return invoke_function(port, function, event)
    except FunctionFailed as error:
        click.echo(_json_text(error.detail), err=True)
        sys.exit(1)
    except StackRequestFailed as error:
        raise click.ClickException(str(error)) from error


def _json_text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _run(settings: EmulatorSettings) -> None:
    from local.console import Console
    from local.data_dir import DataDirInUse
    from local.sam_build.tree import BuildUnusable
    from local.server import PortTaken
    from local.services.supervisor import ServiceFailed
    from local.services.system_user import NoSystemUser
    from local.template.errors import TemplateInvalid
    from local.up import MigrationFailed
    from local.up import up as run

    try:
        asyncio.run(run(settings, Console()))
    except* TemplateInvalid as errors:
        _exit_with_error(errors, status=2)
    except* (BuildUnusable, PortTaken, DataDirInUse, NoSystemUser, ServiceFailed, MigrationFailed) as errors:
        _exit_with_error(errors, status=1)


def _exit_with_error(errors: BaseExceptionGroup[Any], *, status: int) -> None:
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    click.echo(str(first), err=True)
    sys.exit(status)


def _existing(name: str) -> Path | None:
    return _existing_file(name) if name else None


def _existing_file(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise click.ClickException(f"the file {name} does not exist")
    return path


def _parse_parameter(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise click.ClickException(f"--parameter must be NAME=VALUE, not {text!r}")
    return name, value
