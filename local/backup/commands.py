"""The commands `parley backup` and `parley restore`."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click

from local.settings import DEFAULT_DATA

_data_option = click.option("--data", envvar="PARLEY_DATA", default=DEFAULT_DATA, show_default=True, help="The stack's data folder.")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--overwrite", is_flag=True, help="Replace FOLDER if it exists.")
@_data_option
def backup(folder: Path, overwrite: bool, data: str) -> None:
    """Save the database, files and keys of the stopped stack to FOLDER.

    FOLDER contains keys in clear: a reader can sign in as any user.
    """
    from local.backup import copy
    from local.data_dir import DataDir

    if not Path(data).is_dir():
        raise click.ClickException(f"{data} does not exist: there is nothing to save")
    _run(lambda: copy.save(DataDir(Path(data)), folder.absolute(), overwrite=overwrite, report=click.echo))
    click.echo(f"saved to {folder}")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace all data of the stack.")
@_data_option
def restore(folder: Path, overwrite: bool, data: str) -> None:
    """Restore the database, files and keys of the stopped stack from FOLDER."""
    from local.backup import copy
    from local.data_dir import DataDir

    _run(lambda: copy.restore(DataDir(Path(data)), folder.absolute(), overwrite=overwrite, report=click.echo))
    click.echo("restored; `parley up` starts the stack")


def _run(start: Callable[[], Coroutine[Any, Any, None]]) -> None:
    from local.backup.copy import BackupUnusable, TargetInUse
    from local.backup.database import DatabaseCopyFailed
    from local.data_dir import DataDirInUse
    from local.services.supervisor import ServiceFailed

    failures = (BackupUnusable, TargetInUse, DatabaseCopyFailed, DataDirInUse, ServiceFailed, OSError)
    try:
        asyncio.run(start())
    except* failures as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise click.ClickException(str(first)) from first
