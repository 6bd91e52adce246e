"""The emulator's commands of `parley`. What is heavy is imported when a command runs."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import click

from local.artefact.layout import DEFAULT_BUILD, Tree
from local.settings import DEFAULT_DATA, DEFAULT_PORT, DEFAULT_TEMPLATE, DEFAULT_WORKERS, Settings

_port = click.option(
    "--port", envvar="PARLEY_PORT", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True, help="The stack's local port."
)
_data = click.option("--data", envvar="PARLEY_DATA", default=DEFAULT_DATA, show_default=True, help="Folder of everything that is kept.")


@click.command()
@_port
@_data
@click.option("--models", envvar="PARLEY_MODELS", default="", help="A models.toml to use in place of the one that ships.")
@click.option("--template", help="The stack to run.  [default: template.yaml]")
@click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Set a parameter of the template; may be repeated.")
@click.option("--pgbouncer/--no-pgbouncer", default=True, help="Put PgBouncer in front of PostgreSQL where it is installed.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=DEFAULT_WORKERS, show_default=True, help="The most processes of one function."
)
@click.option(
    "--built",
    is_flag=False,
    flag_value=str(DEFAULT_BUILD),
    metavar="[FOLDER]",
    help=f"Run what `make build` made, with nothing else on the search path.  [folder: {DEFAULT_BUILD}]",
)
@click.option("--watch/--no-watch", default=True, help="Take up what is saved (never with --built).")
@click.option("--stand-in", is_flag=True, hidden=True, help="Run the workers as where AWS's native client is not built.")
@click.option("--verbose", is_flag=True, help="Show every line that the functions log, as it is.")
def up(
    port: int,
    data: str,
    models: str,
    template: str | None,
    parameters: tuple[str, ...],
    pgbouncer: bool,
    workers: int,
    built: str | None,
    watch: bool,
    stand_in: bool,
    verbose: bool,
) -> None:
    """Run the whole stack on this machine."""
    if built and template:
        raise click.UsageError("--built brings its own template: leave --template out")
    tree = Tree(Path(built)) if built else None
    chosen = Settings(
        port=port,
        data=Path(data or DEFAULT_DATA),
        template=tree.template if tree else Path(template or DEFAULT_TEMPLATE),
        built=tree.root if tree else None,
        models=_existing(models),
        parameters=dict(_pair(one) for one in parameters),
        wants_pgbouncer=pgbouncer,
        workers=workers,
        wants_watch=watch,
        wants_stand_in=stand_in,
        is_verbose=verbose,
    )
    _run(chosen)


@click.command()
@click.argument("function")
@click.option("-e", "--event", "source", required=True, metavar="FILE", help="The event as JSON; - reads it from standard input.")
@_port
def invoke(function: str, source: str, port: int) -> None:
    """Call a function of the running stack and print what it answers."""
    from local.client import FunctionFailed, Refused, invoke_function

    event = sys.stdin.read() if source == "-" else _existing_file(source).read_text(encoding="utf-8")
    try:
        answer = invoke_function(port, function, event)
    except FunctionFailed as error:
        click.echo(json.dumps(error.detail, indent=2, ensure_ascii=False), err=True)
        sys.exit(1)
    except Refused as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False))


@click.command()
@_port
def status(port: int) -> None:
    """Show what runs: functions, workers, schedules and services."""
    from local.client import Refused, read_status
    from local.tables import status_table

    try:
        click.echo(status_table(read_status(port)))
    except Refused as error:
        raise click.ClickException(str(error)) from error


@click.command()
@_data
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(data: str, yes: bool) -> None:
    """Delete everything that the emulator keeps: accounts, conversations, keys, logs."""
    from local.folder import DataFolder, FolderInUse

    folder = DataFolder(Path(data or DEFAULT_DATA))
    if not folder.root.is_dir():
        click.echo(f"nothing to delete: there is no {folder.path}")
        return
    if not yes:
        click.confirm(f"Delete everything in {folder.path}?", abort=True)
    try:
        folder.delete()
    except FolderInUse as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"deleted {folder.path}")


def _run(settings: Settings) -> None:
    from local.artefact.usable import BuildUnusable
    from local.console import Console
    from local.folder import FolderInUse
    from local.server import PortTaken
    from local.services.identity import NoSystemUser
    from local.services.supervised import ServiceFailed
    from local.template.errors import TemplateInvalid
    from local.up import MigrationFailed
    from local.up import up as run

    try:
        asyncio.run(run(settings, Console()))
    except* TemplateInvalid as errors:
        _give_up(errors, status=2)
    except* (BuildUnusable, PortTaken, FolderInUse, NoSystemUser, ServiceFailed, MigrationFailed) as errors:
        _give_up(errors, status=1)


def _give_up(errors: BaseExceptionGroup[Any], *, status: int) -> None:
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
        raise click.ClickException(f"there is no file {name}")
    return path


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise click.ClickException(f"--parameter takes NAME=VALUE, not {text!r}")
    return name, value
