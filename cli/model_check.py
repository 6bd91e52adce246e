"""Trying a model: one short question, by the routes that OpenAI's clients use."""

import time
from collections.abc import Iterable

from cli.api import Api
from cli.connection import Call
from cli.errors import Refused
from cli.fields import Fields
from cli.listing import Table
from cli.terminal import line, shortened

QUESTION = "Answer with the one word: ready"
# A model that thinks first spends some of these before its first word.
MOST_TOKENS_IN, MOST_TOKENS_OUT = 100, 200
SILENCE_S = 120.0
NONE_YET = "No models. They are configured in models.toml."


def is_free(model: Fields) -> bool:
    """Whether asking costs nothing for certain: only the offline model is on this side of the bill."""
    return model.text("provider") == "offline"


def most_usd(models: Iterable[Fields]) -> float:
    """Return about what asking all of them may cost at most."""
    return sum(_cost_usd(model, MOST_TOKENS_IN, MOST_TOKENS_OUT) for model in models)


def tried(api: Api, model: Fields) -> Fields:
    """Ask one model; a refusal is an outcome, too."""
    body = {"model": model.text("id"), "messages": [{"role": "user", "content": QUESTION}], "max_completion_tokens": MOST_TOKENS_OUT}
    outcome = Fields({"model": model.text("id"), "provider": model.text("provider")})
    began_s = time.monotonic()
    try:
        usage = Fields.of(api.fetch(Call("POST", "/v1/chat/completions", body, silence_s=SILENCE_S))).part("usage")
    except Refused as exc:
        return Fields(outcome | {"problem": exc.message})
    tokens_in, tokens_out = usage.number("prompt_tokens") or 0, usage.number("completion_tokens") or 0
    taken = {"seconds": time.monotonic() - began_s, "tokens_in": tokens_in, "tokens_out": tokens_out}
    return Fields(outcome | taken | {"cost_usd": _cost_usd(model, tokens_in, tokens_out)})


def _cost_usd(model: Fields, tokens_in: float, tokens_out: float) -> float:
    price_in, price_out = model.number("input_usd_per_mtok") or 0, model.number("output_usd_per_mtok") or 0
    return (tokens_in * price_in + tokens_out * price_out) / 1_000_000


def _row(outcome: Fields) -> tuple[str, ...]:
    named = line(outcome.text("model")), line(outcome.text("provider"))
    if problem := outcome.text("problem"):
        return (*named, "", "", "", "", shortened(problem, characters=100))
    seconds, cost_usd = outcome.number("seconds") or 0, outcome.number("cost_usd") or 0
    counts = (f"{outcome.number(name):.0f}" for name in ("tokens_in", "tokens_out"))
    return (*named, f"{seconds:.1f} s", *counts, f"${cost_usd:.6f}", "ok")


CHECKS = Table(("model", "provider", "time", "tokens in", "tokens out", "cost", ""), _row, NONE_YET)
