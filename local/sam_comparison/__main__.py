"""The command `python -m local.sam_comparison`, run by `make sam-local`."""

import asyncio
import sys
from pathlib import Path

import click

from local.sam_comparison.comparison import run_comparison, table_summary
from local.sam_comparison.container_engine import ContainerEngineMissing, find_container_engine
from local.sam_comparison.process import ProcessFailed
from local.sam_comparison.scenario import read_steps

_CHECKOUT = Path(__file__).resolve().parents[2]


@click.command()
@click.option("--strict", is_flag=True, help="Fail instead of skipping if containers cannot run.")
@click.option("--only", multiple=True, metavar="EVENT", help="Compare only this event, after those that prepare it. Repeat for more.")
def main(strict: bool, only: tuple[str, ...]) -> None:
    """Compare the results of `sam local invoke` and `parley invoke` for each event. Exits 1 if any differs."""
    try:
        steps = read_steps(_CHECKOUT / "events", only=only)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    try:
        engine = find_container_engine()
    except ContainerEngineMissing as error:
        click.echo(f"SKIPPED: `sam local` cannot run containers, so nothing was compared: {error}", err=True)
        sys.exit(2 if strict else 0)
    try:
        rows = asyncio.run(run_comparison(engine, steps, root=_CHECKOUT))
    except* ProcessFailed as errors:
        click.echo("\n".join(str(error) for error in errors.exceptions), err=True)
        sys.exit(3)
    click.echo(table_summary(rows))
    sys.exit(0 if all(row.is_same for row in rows) else 1)


if __name__ == "__main__":
    main()
