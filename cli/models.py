"""`parley models`: what may be asked, and whether it answers."""

import click

from cli import prompts
from cli.api import Api
from cli.connection import Call
from cli.errors import CliError
from cli.fields import Fields
from cli.listing import ListGroup, Table, json_option
from cli.model_check import CHECKS, is_free, most_usd, tried
from cli.options import with_api_or_key
from cli.terminal import line


@click.group(cls=ListGroup)
def models() -> None:
    """List the models you may ask, and check that they answer."""


@models.command("list")
@json_option
@with_api_or_key
def list_all(api: Api, as_json: bool) -> None:
    """List the models you may ask; * marks the default. Prices are US dollars for a million tokens."""
    show(api, as_json=as_json)


@models.command()
@click.option("--model", metavar="ID", help="Ask this one only.  [default: all]")
@prompts.yes_option
@with_api_or_key
def check(api: Api, model: str | None, yes: bool) -> None:
    """Ask each model one short question and show how long it took and what it cost. It spends your budget."""
    chosen = [one for one in catalogue(api) if model in (None, one.text("id"))]
    if model is not None and not chosen:
        raise CliError(f"There is no model {line(model)!r} here. They are listed by: parley models")
    if costing := [one for one in chosen if not is_free(one)]:
        noun = "one model" if len(costing) == 1 else f"{len(costing)} models"
        prompts.confirm(f"Ask {noun} that may cost money, about ${most_usd(costing):.4f} at most?", yes=yes)
    outcomes = [tried(api, one) for one in chosen]
    CHECKS.show(outcomes, as_json=False)
    if any(one.text("problem") for one in outcomes):
        raise CliError("Not every model answers. Whoever runs the server finds the reasons in its log.")


def show(api: Api, *, as_json: bool = False) -> None:
    """Print the catalogue."""
    MODELS.show(catalogue(api), as_json=as_json)


def catalogue(api: Api) -> list[Fields]:
    """Return the models, in the API's order."""
    return Fields.list_of(api.fetch(Call("GET", "/models")))


def _row(model: Fields) -> tuple[str, ...]:
    context = model.number("context_tokens")
    return (
        "*" if model.get("default") is True else "",
        line(model.text("id")),
        line(model.text("provider")),
        "" if context is None else f"{context:,.0f}",
        _price(model.number("input_usd_per_mtok")),
        _price(model.number("output_usd_per_mtok")),
        _words(model.get("abilities")),
        _words(model.get("roles")),
    )


def _price(usd: float | None) -> str:
    return "" if usd is None else "free" if usd == 0 else f"${usd:.2f}"


def _words(found: object) -> str:
    return line(", ".join(map(str, found))) if isinstance(found, list) else ""


HEADING = ("", "model", "provider", "context", "in", "out", "abilities", "roles")
MODELS = Table(HEADING, _row, "No models. They are configured in models.toml.")
