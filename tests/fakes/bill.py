"""What a fake vendor would charge, counted and priced without a word of Parley's own code."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import toktok

ENCODING = "o200k_base"


@dataclass(frozen=True)
class Prices:
    """US dollars for a million tokens, named as in the catalogue."""

    input_usd_per_mtok: Decimal
    cached_input_usd_per_mtok: Decimal
    cache_write_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal


PRICES = {
    "gpt": Prices(Decimal("1.25"), Decimal("0.13"), Decimal("1.25"), Decimal("10.01")),
    "claude": Prices(Decimal("3.07"), Decimal("0.31"), Decimal("3.75"), Decimal("15.5")),
}


@dataclass(frozen=True)
class Line:
    """One call that is charged. What is cached or written to the cache is part of `input_tokens`.

    `is_reported` says whether the vendor told the caller.
    """

    model: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    written_tokens: int = 0
    is_reported: bool = True

    @property
    def usd(self) -> Decimal:
        prices = PRICES[self.model]
        fresh = self.input_tokens - self.cached_tokens - self.written_tokens
        usd = fresh * prices.input_usd_per_mtok + self.cached_tokens * prices.cached_input_usd_per_mtok
        usd += self.written_tokens * prices.cache_write_usd_per_mtok + self.output_tokens * prices.output_usd_per_mtok
        return usd / 1_000_000


def count(text: str) -> int:
    """Count a text's tokens as OpenAI does."""
    return toktok.batch_count([text], ENCODING, threads=1)[0]


def prompt_tokens(body: dict[str, Any]) -> int:
    """Count a request as OpenAI does: three tokens and the role around each message, three before the answer."""
    system = [{"role": "system", "content": body["system"]}] if body.get("system") else []
    return 3 + sum(3 + count(said["role"]) + count(_text(said["content"])) for said in system + body["messages"])


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block["text"] for block in content)
