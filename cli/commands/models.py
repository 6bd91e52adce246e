"""`parley models`: list the models, and check each with one short question by the routes of OpenAI's clients."""

import time
from collections.abc import Iterable

import click

from cli import prompts
from cli.api import ApiClient
from cli.errors import ApiProblem, CliError
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import ListGroup, Table, json_option
from cli.options import with_api_or_key
from cli.output import one_line, shortened

CHECK_QUESTION = "Answer with the one word: ready"


# A model that thinks first spends some of these before its first word.
MAX_TOKENS_IN, MAX_TOKENS_OUT = 100, 200


CHECK_TIMEOUT_S = 120.0


NO_MODELS = "No models. They are configured in models.toml."


def is_free_of_charge(model: Fields) -> bool:
    """Whether asking costs nothing for certain: only the offline model is on this side of the bill."""
    return model.text("provider") == "offline"


def max_cost_usd(models: Iterable[Fields]) -> float:
    """Return about what asking all of them may cost at most."""
    return sum(_cost_usd(model, MAX_TOKENS_IN, MAX_TOKENS_OUT) for model in models)


def check_model(api: ApiClient, model: Fields) -> Fields:
    """Ask one model; a refusal is an outcome, too."""
    body = {"model": model.text("id"), "messages": [{"role": "user", "content": CHECK_QUESTION}], "max_completion_tokens": MAX_TOKENS_OUT}
    outcome = Fields({"model": model.text("id"), "provider": model.text("provider")})
    began_s = time.monotonic()
    try:
        usage = Fields.of(api.fetch(HttpCall("POST", "/v1/chat/completions", body, timeout_s=CHECK_TIMEOUT_S))).part("usage")
    except ApiProblem as exc:
        return Fields(outcome | {"problem": exc.message})
    tokens_in, tokens_out = usage.number("prompt_tokens") or 0, usage.number("completion_tokens") or 0
    taken = {"seconds": time.monotonic() - began_s, "tokens_in": tokens_in, "tokens_out": tokens_out}
    return Fields(outcome | taken | {"cost_usd": _cost_usd(model, tokens_in, tokens_out)})


def _cost_usd(model: Fields, tokens_in: float, tokens_out: float) -> float:
    price_in, price_out = model.number("input_usd_per_mtok") or 0, model.number("output_usd_per_mtok") or 0
    return (tokens_in * price_in + tokens_out * price_out) / 1_000_000


def _check_row(outcome: Fields) -> tuple[str, ...]:
    named = one_line(outcome.text("model")), one_line(outcome.text("provider"))
    if problem := outcome.text("problem"):
        return (*named, "", "", "", "", shortened(problem, characters=100))
    seconds, cost_usd = outcome.number("seconds") or 0, outcome.number("cost_usd") or 0
    counts = (f"{outcome.number(name):.0f}" for name in ("tokens_in", "tokens_out"))
    return (*named, f"{seconds:.1f} s", *counts, f"${cost_usd:.6f}", "ok")


CHECK_TABLE = Table(("model", "provider", "time", "tokens in", "tokens out", "cost", ""), _check_row, NO_MODELS)


@click.group(cls=ListGroup)
def models() -> None:
    """List the models you may ask, and check that they answer."""


@models.command("list")
@json_option
@with_api_or_key
def list_models(api: ApiClient, as_json: bool) -> None:
    """List the models you may ask; * marks the default. Prices are US dollars for a million tokens."""
    show_models(api, as_json=as_json)


@models.command()
@click.option("--model", metavar="ID", help="Ask this one only.  [default: all]")
@prompts.yes_option
@with_api_or_key
def check(api: ApiClient, model: str | None, yes: bool) -> None:
    """Ask each model one short question and show how long it took and what it cost. It spends your budget."""
    chosen = [one for one in fetch_models(api) if model in (None, one.text("id"))]
    if model is not None and not chosen:
        raise CliError(f"There is no model {one_line(model)!r} here. They are listed by: parley models")
    if costing := [one for one in chosen if not is_free_of_charge(one)]:
        noun = "one model" if len(costing) == 1 else f"{len(costing)} models"
        prompts.require_confirmation(f"Ask {noun} that may cost money, about ${max_cost_usd(costing):.4f} at most?", yes=yes)
    outcomes = [check_model(api, one) for one in chosen]
    CHECK_TABLE.show(outcomes, as_json=False)
    if any(one.text("problem") for one in outcomes):
        raise CliError("Not every model answers. Whoever runs the server finds the reasons in its log.")


def show_models(api: ApiClient, *, as_json: bool = False) -> None:
    """Print the catalogue."""
    MODEL_TABLE.show(fetch_models(api), as_json=as_json)


def fetch_models(api: ApiClient) -> list[Fields]:
    """Return the models, in the API's order."""
    return Fields.list_of(api.fetch(HttpCall("GET", "/models")))


def _model_row(model: Fields) -> tuple[str, ...]:
    context = model.number("context_tokens")
    return (
        "*" if model.get("default") is True else "",
        one_line(model.text("id")),
        one_line(model.text("provider")),
        "" if context is None else f"{context:,.0f}",
        _price(model.number("input_usd_per_mtok")),
        _price(model.number("output_usd_per_mtok")),
        _joined(model.get("abilities")),
        _joined(model.get("roles")),
    )


def _price(usd: float | None) -> str:
    return "" if usd is None else "free" if usd == 0 else f"${usd:.2f}"


def _joined(found: object) -> str:
    return one_line(", ".join(map(str, found))) if isinstance(found, list) else ""


MODEL_HEADING = ("", "model", "provider", "context", "in", "out", "abilities", "roles")


MODEL_TABLE = Table(MODEL_HEADING, _model_row, "No models. They are configured in models.toml.")
