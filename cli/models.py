"""`parley models`: what may be asked."""

import click

from cli.api import Api
from cli.connection import Call
from cli.fields import Fields
from cli.listing import Table, json_option
from cli.options import with_api_or_key
from cli.terminal import line


@click.command()
@json_option
@with_api_or_key
def models(api: Api, as_json: bool) -> None:
    """List the models you may ask; * marks the default."""
    show(api, as_json=as_json)


def show(api: Api, *, as_json: bool = False) -> None:
    """Print the catalogue."""
    MODELS.show(catalogue(api), as_json=as_json)


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


MODELS = Table(("", "model", "provider", "context", "abilities"), _row, "No models. They are configured in models.toml.")
