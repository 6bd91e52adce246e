"""The emulator's commands of `parley`: up, invoke, status, keys and reset. Heavy modules are imported when a command runs."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import click

from local.sam_build.tree import DEFAULT_BUILD, BuildTree
from local.settings import DEFAULT_DATA, DEFAULT_PORT, DEFAULT_TEMPLATE, DEFAULT_WORKERS, EmulatorSettings

_KEYS_FUNCTION = "KeysFunction"

_port = click.option(
    "--port", envvar="PARLEY_PORT", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True, help="The stack's local port."
)

_data = click.option("--data", envvar="PARLEY_DATA", default=DEFAULT_DATA, show_default=True, help="Folder of everything that is kept.")


def status_table(status: dict[str, Any]) -> str:
    """Return what `/_local/status` says, as aligned text."""
    functions = [_function_row(one) for one in status["functions"]]
    schedules = [(one["name"], one["function"], one["expression"], one["next_run"] or "-") for one in status["schedules"]]
    queues = [_queue_row(one) for one in status["queues"]]
    buckets = [(one["name"], str(one["objects"]), f"{one['bytes'] / 1_000_000:.1f}") for one in status["buckets"]]
    services = [(name, _service_state(one)) for name, one in status["services"].items()]
    sections = [
        _aligned_columns([("FUNCTION", "IDLE", "BUSY", "CALLS", "ERRORS", "PEAK MB"), *functions]),
        _aligned_columns([("SCHEDULE", "FUNCTION", "EXPRESSION", "NEXT"), *schedules]) if schedules else "",
        _aligned_columns([("QUEUE", "VISIBLE", "IN FLIGHT", "DELAYED", "DEAD LETTERS GO TO"), *queues]) if queues else "",
        _aligned_columns([("BUCKET", "OBJECTS", "MB"), *buckets]) if buckets else "",
        _aligned_columns([("SERVICE", ""), *services]) if services else "",
    ]
    return "\n\n".join(section for section in sections if section)


def _function_row(one: dict[str, Any]) -> tuple[str, ...]:
    workers = one["workers"]
    figures = (workers["idle"], workers["busy"], one["invocations"], one["errors"], f"{one['peak_mb']:.0f}")
    return (one["name"], *(str(figure) for figure in figures))


def _queue_row(one: dict[str, Any]) -> tuple[str, ...]:
    return (one["name"], str(one["visible"]), str(one["in_flight"]), str(one["delayed"]), one["dead_letters"] or "-")


def _service_state(one: dict[str, Any] | None) -> str:
    if one is None:
        return "not used"
    return f"{'running' if one['running'] else 'down'} on port {one['port']}"


def _aligned_columns(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


@click.group()
def keys() -> None:
    """Look after the keys that tokens are signed with."""


@keys.command()
@click.option("--now", "is_emergency", is_flag=True, help="End every access token within a minute: a key may have leaked.")
@click.option("--api-keys", "takes_api_keys", is_flag=True, help="With --now: end every API key too.")
@click.option(
    "--port", envvar="PARLEY_PORT", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True, help="The stack's local port."
)
def rotate(is_emergency: bool, takes_api_keys: bool, port: int) -> None:
    """Make new keys; old ones go when nothing valid is signed by them."""
    from local.client import FunctionFailed, StackRequestFailed, invoke_function

    if takes_api_keys and not is_emergency:
        raise click.UsageError("--api-keys goes with --now only: those who hold API keys have no other way to get in")
    event = {"emergency": is_emergency, "api_keys": takes_api_keys}
    try:
        done = invoke_function(port, _KEYS_FUNCTION, json.dumps(event))
    except FunctionFailed as error:
        click.echo(json.dumps(error.detail, indent=2, ensure_ascii=False), err=True)
        sys.exit(1)
    except StackRequestFailed as error:
        raise click.ClickException(str(error)) from error
    for word in ("made", "removed"):
        click.echo(f"{word:8} {', '.join(done[word]) or 'none'}")


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
    tree = BuildTree(Path(built)) if built else None
    chosen = EmulatorSettings(
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
    from local.client import FunctionFailed, StackRequestFailed, invoke_function

    event = sys.stdin.read() if source == "-" else _existing_file(source).read_text(encoding="utf-8")
    try:
        answer = invoke_function(port, function, event)
    except FunctionFailed as error:
        click.echo(json.dumps(error.detail, indent=2, ensure_ascii=False), err=True)
        sys.exit(1)
    except StackRequestFailed as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False))


@click.command()
@_port
def status(port: int) -> None:
    """Show what runs: functions, workers, schedules and services."""
    from local.client import StackRequestFailed, read_status

    pass

    try:
        click.echo(status_table(read_status(port)))
    except StackRequestFailed as error:
        raise click.ClickException(str(error)) from error


@click.command()
@_data
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(data: str, yes: bool) -> None:
    """Delete everything that the emulator keeps: accounts, conversations, keys, logs."""
    from local.data_dir import DataDir, DataDirInUse

    folder = DataDir(Path(data or DEFAULT_DATA))
    if not folder.root.is_dir():
        click.echo(f"nothing to delete: there is no {folder.path}")
        return
    if not yes:
        click.confirm(f"Delete everything in {folder.path}?", abort=True)
    try:
        folder.delete()
    except DataDirInUse as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"deleted {folder.path}")


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
        _give_up(errors, status=2)
    except* (BuildUnusable, PortTaken, DataDirInUse, NoSystemUser, ServiceFailed, MigrationFailed) as errors:
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
