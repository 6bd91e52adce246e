"""The catalogue: which models there are, what they cost, and which one answers.

It is `models.toml`, beside this module or wherever the settings say. Keys stand in it as references,
`env:NAME`, never as themselves.
"""

import random
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from parley.errors import InvalidInput, ParleyError
from parley.llm.types import Usage

SHIPPED = Path(__file__).with_name("models.toml")

# Others may stand in a catalogue already; their models cannot be chosen yet.
SUPPORTED = frozenset({"openai", "openai-compatible", "offline"})

type ProviderName = Literal["openai", "anthropic", "bedrock", "mistral", "openai-compatible", "offline"]
type Ability = Literal["tools", "images", "json"]
type Role = Literal["chat", "summary", "facts", "title", "embedding"]
type KeyReference = Annotated[str, Field(pattern=r"^(env|secret):\S+$")]


class CatalogueInvalid(ParleyError):
    """`models.toml` cannot be used; the message names the file and what is wrong in it."""

    code = "catalogue_invalid"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


class NoModel(ParleyError):
    """Nothing that the catalogue names for chat can be called here."""

    status, code = 503, "no_model"
    public_message = "No model can answer here. Tell whoever runs this server."
    retry_after_s = 60.0


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(_Entry):
    """One model of one provider. `name` is the vendor's word for it; prices are USD a million tokens."""

    provider: ProviderName
    name: str
    kind: Literal["chat", "embedding"] = "chat"
    base_url: str | None = None
    api_key: KeyReference | None = None
    context_tokens: int = Field(default=8192, gt=0)
    max_output_tokens: int = Field(default=4096, gt=0)
    dimensions: int | None = Field(default=None, gt=0)
    input_usd_per_mtok: Decimal = Decimal(0)
    cached_input_usd_per_mtok: Decimal | None = None
    output_usd_per_mtok: Decimal = Decimal(0)
    abilities: frozenset[Ability] = frozenset()
    timeout_s: float = Field(default=120.0, gt=0)
    pause_ms: float = Field(default=0.0, ge=0)

    def key(self, environment: Mapping[str, str]) -> str | None:
        """Return the key that `api_key` refers to, None if it is not at hand."""
        where, _, name = (self.api_key or "").partition(":")
        return environment.get(name) or None if where == "env" else None

    def obstacle(self, environment: Mapping[str, str]) -> str | None:
        """Return why it cannot be called here, None if it can."""
        if self.provider not in SUPPORTED:
            return f"provider {self.provider!r} is not supported yet"
        if self.api_key is not None and self.key(environment) is None:
            return f"its key {self.api_key!r} is not at hand"
        return None

    def cost_usd(self, usage: Usage) -> Decimal:
        """Price a call by the catalogue."""
        cached_price = self.input_usd_per_mtok if self.cached_input_usd_per_mtok is None else self.cached_input_usd_per_mtok
        fresh = usage.input_tokens - usage.cached_input_tokens
        cost = fresh * self.input_usd_per_mtok + usage.cached_input_tokens * cached_price + usage.output_tokens * self.output_usd_per_mtok
        return cost / 1_000_000


class Strategy(_Entry):
    """How to choose among models: the one named, the first that can answer, or one drawn by weight."""

    kind: Literal["fixed", "fallback", "weighted"]
    models: list[str] = Field(min_length=1)
    weights: list[float] | None = None

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        if self.weights is not None and (len(self.weights) != len(self.models) or min(self.weights) < 0 or sum(self.weights) <= 0):
            raise ValueError("weights: one for each model, none below zero, not all zero")
        return self

    def drawn(self) -> list[str]:
        """Return the models' ids in the order in which to try them, for one call."""
        if self.kind != "weighted":
            return self.models[:1] if self.kind == "fixed" else self.models
        first = random.choices(self.models, self.weights)[0]  # noqa: S311 - a share of traffic, not a secret
        return [first, *(model for model in self.models if model != first)]


class Catalogue(_Entry):
    """All of `models.toml`."""

    roles: dict[Role, str]
    models: dict[str, Model]
    strategies: dict[str, Strategy] = {}

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        if "chat" not in self.roles:
            raise ValueError("roles.chat: name the model or strategy that answers")
        for strategy_id, strategy in self.strategies.items():
            if missing := [model for model in strategy.models if model not in self.models]:
                raise ValueError(f"strategies.{strategy_id}: no such model: {', '.join(missing)}")
        for role, name in self.roles.items():
            if name not in self.models and name not in self.strategies:
                raise ValueError(f"roles.{role}: no such model or strategy: {name}")
        return self

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Read the file, or the one that ships. Raises CatalogueInvalid."""
        path = path or SHIPPED
        try:
            return cls.model_validate(tomllib.loads(path.read_text()))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise CatalogueInvalid(path, str(exc)) from exc
        except ValidationError as exc:
            problems = (f"{'.'.join(map(str, error['loc'])) or 'file'}: {error['msg']}" for error in exc.errors())
            raise CatalogueInvalid(path, "; ".join(problems)) from exc

    def available(self, environment: Mapping[str, str]) -> dict[str, Model]:
        """Return the chat models that can be called, by id."""
        return {id: model for id, model in self.models.items() if model.kind == "chat" and not model.obstacle(environment)}

    def default(self, environment: Mapping[str, str]) -> str | None:
        """Return the id of the model that usually answers, None if none can."""
        chat = self.roles["chat"]
        ids = self.strategies[chat].models if chat in self.strategies else [chat]
        return next((id for id in ids if id in self.available(environment)), None)

    def choose(self, name: str | None = None, *, environment: Mapping[str, str]) -> str:
        """Return the id of the model that answers for `name`, a model or a strategy; None means the role `chat`.

        Raises InvalidInput if there is no such thing or nothing of it can be called here, NoModel for the role.
        """
        wanted = name or self.roles["chat"]
        available = self.available(environment)
        for id in self.strategies[wanted].drawn() if wanted in self.strategies else [wanted]:
            if id in available:
                return id
        if name is None:
            raise NoModel(f"nothing of {wanted!r} can be called")
        raise InvalidInput(f"no model {wanted!r} here; there are: {', '.join(available) or 'none'}", loc=("body", "model"))
