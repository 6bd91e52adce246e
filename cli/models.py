"""`parley models`: what may be asked."""

import click

from cli.api import Api
from cli.connection import Call
from cli.fields import Fields
from cli.options import with_api
from cli.terminal import line, table


@click.command()
@with_api
def models(api: Api) -> None:
    """List the models you may ask; * marks the default."""
    show(api)


def show(api: Api) -> None:
    """Print the catalogue as a table."""
    rows = [_row(model) for model in catalogue(api)]
    click.echo(
        table([("", "model", "provider", "context", "abilities"), *rows]) if rows else "No models. They are configured in models.toml."
    )


def catalogue(api: Api) -> list[Fields]:
    """Return the models, in the API's order."""
    return Fields.list_of(api.fetch(Call("GET", "/models")))


def _row(model: Fields) -> tuple[str, ...]:
    abilities = model.get("abilities")
    words = [str(each) for each in abilities] if isinstance(abilities, list) else []
    context = model.number("context_tokens")
    return (
        "*" if model.get("default") is True else "",
        line(model.text("id")),
        line(model.text("provider")),
        "" if context is None else f"{context:,.0f}",
        line(", ".join(words)),
    )
