"""`parley models`: list the models, and check each with a short question over the OpenAI-compatible API."""

import time
from collections.abc import Iterable

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.errors import ApiProblem, CliError
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import ListGroup, Table, json_option
from cli.options import with_api_or_key
from cli.output import one_line, shortened

CHECK_QUESTION = "Answer with the one word: ready"
MAX_INPUT_TOKENS = 100
# A reasoning model uses some of these tokens before its first word.
MAX_OUTPUT_TOKENS = 200
CHECK_TIMEOUT_S = 120.0
NO_MODELS = "No models. The server's operator configures them in models.toml."
MODEL_HEADING = ("", "model", "provider", "context", "in", "out", "abilities", "roles")


def is_free_of_charge(model: Fields) -> bool:
    """Return whether a call is certain to cost nothing: only the offline model never calls a vendor."""
    return model.text("provider") == "offline"


def max_cost_usd(models: Iterable[Fields]) -> float:
    """Return the approximate maximum cost of checking these models."""
    return sum(_cost_usd(model, MAX_INPUT_TOKENS, MAX_OUTPUT_TOKENS) for model in models)


def check_model(api: ApiClient, model: Fields) -> Fields:
    """Send the check question to a model and return time, tokens and cost, or the `problem` that the API reported."""
    body = {
        "model": model.text("id"),
        "messages": [{"role": "user", "content": CHECK_QUESTION}],
        "max_completion_tokens": MAX_OUTPUT_TOKENS,
    }
    outcome = Fields({"model": model.text("id"), "provider": model.text("provider")})
    started_s = time.monotonic()
    try:
        usage = Fields.of(api.fetch(HttpCall("POST", "/v1/chat/completions", body, timeout_s=CHECK_TIMEOUT_S))).part("usage")
    except ApiProblem as exc:
        return Fields(outcome | {"problem": exc.message})
    tokens_in, tokens_out = usage.number("prompt_tokens") or 0, usage.number("completion_tokens") or 0
    measured = {"seconds": time.monotonic() - started_s, "tokens_in": tokens_in, "tokens_out": tokens_out}
    return Fields(outcome | measured | {"cost_usd": _cost_usd(model, tokens_in, tokens_out)})


def _cost_usd(model: Fields, tokens_in: float, tokens_out: float) -> float:
    price_in, price_out = model.number("input_usd_per_mtok") or 0, model.number("output_usd_per_mtok") or 0
    return (tokens_in * price_in + tokens_out * price_out) / 1_000_000


def _check_row(outcome: Fields) -> tuple[str, ...]:
    names = one_line(outcome.text("model")), one_line(outcome.text("provider"))
    if problem := outcome.text("problem"):
        return (*names, "", "", "", "", shortened(problem, characters=100))
    seconds, cost_usd = outcome.number("seconds") or 0, outcome.number("cost_usd") or 0
    counts = (f"{outcome.number(name):.0f}" for name in ("tokens_in", "tokens_out"))
    return (*names, f"{seconds:.1f} s", *counts, f"${cost_usd:.6f}", "ok")


CHECK_TABLE = Table(("model", "provider", "time", "tokens in", "tokens out", "cost", ""), _check_row, NO_MODELS)


@click.group(cls=ListGroup)
def models() -> None:
    """List the available models, and check that they answer."""


@models.command("list")
@json_option
@with_api_or_key
def list_models(api: ApiClient, as_json: bool) -> None:
    """List the available models; * marks the default. Prices are in US dollars per million tokens."""
    show_models(api, as_json=as_json)


@models.command()
@click.option("--model", metavar="ID", help="Check only this model.  [default: all]")
@terminal_input.yes_option
@with_api_or_key
def check(api: ApiClient, model: str | None, yes: bool) -> None:
    """Send each model a short question, and show its time and cost. The calls count against your budget."""
    chosen = [each for each in fetch_models(api) if model in (None, each.text("id"))]
    if model is not None and not chosen:
        raise CliError(f"There is no model {one_line(model)!r}. To list them: parley models")
    if paid := [each for each in chosen if not is_free_of_charge(each)]:
        count = "1 paid model" if len(paid) == 1 else f"{len(paid)} paid models"
        terminal_input.require_confirmation(f"Check {count} for about ${max_cost_usd(paid):.4f} at most?", yes=yes)
    outcomes = [check_model(api, each) for each in chosen]
    CHECK_TABLE.show(outcomes, as_json=False)
    if any(outcome.text("problem") for outcome in outcomes):
        raise CliError("Some models do not answer. The server's operator finds the reasons in its log.")


def show_models(api: ApiClient, *, as_json: bool = False) -> None:
    """Print the model catalogue."""
    MODEL_TABLE.show(fetch_models(api), as_json=as_json)


def fetch_models(api: ApiClient) -> list[Fields]:
    """Return the models in the API's order."""
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


def _joined(names: object) -> str:
    return one_line(", ".join(map(str, names))) if isinstance(names, list) else ""


MODEL_TABLE = Table(MODEL_HEADING, _model_row, NO_MODELS)
