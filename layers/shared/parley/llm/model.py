"""A model of the catalogue with its abilities and prices, and a call of a model with its usage and status."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from parley.ids import new_id
from parley.llm.errors import ModelCannot
from parley.llm.messages import ModelRequest, Usage
from parley.llm.vendor_keys import is_key_available
from parley.observability import logger

type ProviderName = Literal["openai", "anthropic", "bedrock", "mistral", "openai-compatible", "builtin", "offline"]
type Ability = Literal["tools", "images", "json", "cache"]
type VendorApi = Literal["chat", "responses", "converse"]
type KeyReference = Annotated[str, Field(pattern=r"^(env|secret):\S+$")]

_NEED_BASE_URL = {"openai-compatible"}
_APIS: dict[str, set[str | None]] = {"openai": {None, "chat", "responses"}, "bedrock": {None, "chat", "converse"}}
# The options that change the answer, and the APIs that have them. The offline provider draws nothing.
CHANGE_ANSWERS = frozenset({"top_p", "top_k", "min_p", "frequency_penalty", "presence_penalty", "logit_bias"})
_OPENAI_OPTIONS = CHANGE_ANSWERS - {"top_k", "min_p"}
_OPTIONS: dict[str, frozenset[str]] = {
    "openai": _OPENAI_OPTIONS,
    "bedrock": _OPENAI_OPTIONS,
    "openai-compatible": CHANGE_ANSWERS,
    "mistral": frozenset({"top_p", "frequency_penalty", "presence_penalty"}),
    "anthropic": frozenset({"top_p", "top_k"}),
    "responses": frozenset({"top_p"}),
    "converse": frozenset({"top_p"}),
    "offline": CHANGE_ANSWERS,
}
_HAVE_EMBEDDINGS = {"openai", "openai-compatible", "mistral", "bedrock", "builtin", "offline"}
_HAVE_RERANK = {"openai-compatible", "offline"}
# The variable with the name of the function `embedder`. It is empty if the stack has none, as on a machine without the model's packages.
EMBEDDER_VARIABLE = "PARLEY_EMBEDDER_FUNCTION"


class CatalogueTable(BaseModel):
    """A table of `models.toml`. It is immutable and rejects unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


type GuardAction = Literal["block", "mask", "report"]
type PersonalDataKind = Literal["email", "phone", "iban", "card", "ip_address", "national_id"]
type BlockedWord = Annotated[str, Field(min_length=2, max_length=64, pattern=r"\w")]


class WordGuard(CatalogueTable):
    """Words and phrases that no model receives and no reader sees. Case and the width of white space do not matter."""

    words: tuple[BlockedWord, ...] = Field(min_length=1, max_length=1000)
    action: GuardAction = "block"


class PersonalDataGuard(CatalogueTable):
    """Personal data that the vendor receives as placeholders. `restores` puts the originals back into the answer.

    With `in_answers`, personal data that the model itself writes is masked, too.
    """

    kinds: frozenset[PersonalDataKind] = frozenset({"email", "phone", "iban", "card", "ip_address", "national_id"})
    action: GuardAction = "mask"
    restores: bool = True
    in_answers: bool = False


class RemoteGuard(CatalogueTable):
    """A guard that asks a service. While the service is away, `on_error` decides: fail the call, or call the model unguarded."""

    on_error: Literal["block", "pass"] = "block"
    timeout_s: float = Field(default=5.0, gt=0, le=60)
    restores: bool = True


class BedrockGuard(RemoteGuard):
    """A guardrail of Amazon Bedrock. It decides itself what it blocks and what it anonymizes, in requests and in answers.

    `base_url` is the address of a VPC endpoint.
    """

    guardrail: str = Field(pattern=r"^([a-z0-9]{1,64}|arn:aws(-[a-z-]{1,20})?:bedrock:[a-z0-9-]{1,20}:\d{12}:guardrail/[a-z0-9]{1,64})$")
    version: str = Field(pattern=r"^([1-9]\d{0,7}|DRAFT)$")
    region: str | None = Field(default=None, pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    base_url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    in_answers: bool = True


class PresidioGuard(RemoteGuard):
    """Personal data that the analyzer of Microsoft Presidio finds. Without `entities`, it looks for all that it knows."""

    url: str = Field(pattern=r"^https?://\S+$")
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}$")
    entities: tuple[Annotated[str, Field(pattern=r"^[A-Z][A-Z_]{1,63}$")], ...] = Field(default=(), max_length=100)
    min_score: float = Field(default=0.5, ge=0, le=1)
    action: GuardAction = "mask"
    in_answers: bool = False


class GuardSettings(CatalogueTable):
    """The guards of all models (`[guard]`), or of one model (`[models.NAME.guard]`), which replace those of all models."""

    words: WordGuard | None = None
    personal_data: PersonalDataGuard | None = None
    presidio: PresidioGuard | None = None
    bedrock: BedrockGuard | None = None


class Model(CatalogueTable):
    """One model of one provider. `name` is the vendor's name for it; prices are in USD per million tokens.

    `api` selects among a vendor's APIs: `responses` for OpenAI models that require it, `converse` for Bedrock with the
    function's role. With the ability `cache`, the stable prefix is marked for Bedrock's prompt cache; other vendors'
    caches do not need it. `fixed_temperature` means that the vendor accepts no temperature.
    """

    provider: ProviderName
    name: str = Field(min_length=1)
    kind: Literal["chat", "embedding", "rerank"] = "chat"
    api: VendorApi | None = None
    base_url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    region: str | None = Field(default=None, pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    api_key: KeyReference | None = None
    context_tokens: int = Field(default=8192, gt=0)
    max_output_tokens: int = Field(default=4096, gt=0)
    dimensions: int | None = Field(default=None, gt=0, le=4000)
    input_usd_per_mtok: Decimal = Field(default=Decimal(0), ge=0)
    cached_input_usd_per_mtok: Decimal | None = Field(default=None, ge=0)
    cache_write_usd_per_mtok: Decimal | None = Field(default=None, ge=0)
    output_usd_per_mtok: Decimal = Field(default=Decimal(0), ge=0)
    abilities: frozenset[Ability] = frozenset()
    fixed_temperature: bool = False
    timeout_s: float = Field(default=120.0, gt=0)
    pause_ms: float = Field(default=0.0, ge=0)
    guard: GuardSettings | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.kind == "embedding" and self.dimensions is None:
            raise ValueError("dimensions: required for an embedding model")
        if self.kind == "embedding" and self.provider not in _HAVE_EMBEDDINGS:
            raise ValueError(f"kind: {self.provider} does not support embeddings")
        if self.kind == "rerank" and self.provider not in _HAVE_RERANK:
            raise ValueError(f"kind: {self.provider} does not support rerank; use openai-compatible with a base_url")
        if self.provider == "builtin" and self.kind != "embedding":
            raise ValueError("kind: builtin supports only embeddings")
        if self.provider in _NEED_BASE_URL and not self.base_url:
            raise ValueError(f"base_url: required for {self.provider}")
        if self.api not in _APIS.get(self.provider, {None, "chat"}):
            raise ValueError(f"api: {self.provider} does not support {self.api!r}")
        if self.api == "converse" and self.api_key:
            raise ValueError("api_key: not allowed with converse, which signs with the function's role")
        if self.provider == "bedrock" and self.api == "chat" and not self.api_key:
            raise ValueError("api_key: required for Bedrock's chat completions")
        return self

    def obstacle(self, environment: Mapping[str, str]) -> str | None:
        """Return why the model is unavailable, or None if it is available. A key in Secrets Manager is assumed to exist."""
        if self.api_key is not None and not is_key_available(self.api_key, environment):
            return f"its key {self.api_key!r} is missing"
        if self.provider == "builtin" and not environment.get(EMBEDDER_VARIABLE):
            return "the built-in embedding model is not installed"
        return None

    def check(self, request: ModelRequest, *, id: str) -> None:
        """Raise ModelCannot, with the model's `id`, if the request needs an ability that the model does not have."""
        needs: dict[str, tuple[str, bool, str | None]] = {
            "tools": ("tools", bool(request.tools), "tools"),
            "images": ("images", any(message.has_images for message in request.messages), None),
            "json": ("a JSON schema for its answer", request.output is not None, "response_format"),
        }
        for ability, (description, is_needed, loc) in needs.items():
            if is_needed and ability not in self.abilities:
                raise ModelCannot(id, description, field=loc)
        if request.temperature is not None and self.fixed_temperature:
            raise ModelCannot(id, "a temperature", field="temperature")
        if lacking := request.options.chosen(CHANGE_ANSWERS - self._supported_options):
            name = next(iter(lacking))
            raise ModelCannot(id, name, field=name)

    @property
    def _supported_options(self) -> Set[str]:
        if self.fixed_temperature:
            return frozenset()
        api = "responses" if self.api == "responses" else "converse" if self.provider == "bedrock" and not self.api_key else self.provider
        return _OPTIONS[api]

    def cost_usd(self, usage: Usage) -> Decimal:
        """Return the cost by the catalogue's prices. If cached tokens have no price of their own, they cost as much as other input."""
        price = self.input_usd_per_mtok
        read_price = price if self.cached_input_usd_per_mtok is None else self.cached_input_usd_per_mtok
        write_price = price if self.cache_write_usd_per_mtok is None else self.cache_write_usd_per_mtok
        uncached = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens
        cost = uncached * price + usage.cached_input_tokens * read_price + usage.cache_write_tokens * write_price
        return (cost + usage.output_tokens * self.output_usd_per_mtok) / 1_000_000


@dataclass(frozen=True, slots=True)
class GuardHit:
    """How often a guard found one kind of text in a request or an answer, and its action. Contains no text."""

    guard: str
    kind: str
    action: GuardAction
    place: Literal["request", "answer"]
    count: int


type ModelCallStatus = Literal["completed", "stopped", "interrupted", "failed"]


@dataclass(slots=True)
class ModelCall:
    """One call of a model, which must be settled even if it failed.

    `stopped` means that we ended the call, `interrupted` that it failed after its first visible event, `failed` that it failed
    before that event.
    A call's own `purpose` overrides the purpose with which it is settled. `waited_s` is the time spent waiting for the vendor.
    """

    model_id: str
    model: Model
    id: UUID = field(default_factory=new_id)
    status: ModelCallStatus = "failed"
    usage: Usage = field(default_factory=Usage)
    error_code: str | None = None
    purpose: Literal["embedding", "rerank"] | None = None
    waited_s: float = 0.0
    guard_hits: Sequence[GuardHit] = ()

    def add_guard_hits(self, hits: Sequence[GuardHit]) -> None:
        """Note and log what the guards found, with the counts of equal findings added up."""
        for hit in hits:
            logger.info(
                "guard_hit", guard=hit.guard, kind=hit.kind, action=hit.action, place=hit.place, count=hit.count, model=self.model_id
            )
        counts = Counter[GuardHit]()
        for hit in (*self.guard_hits, *hits):
            counts[replace(hit, count=0)] += hit.count
        self.guard_hits = tuple(replace(hit, count=count) for hit, count in counts.items())

    @property
    def cost_usd(self) -> Decimal:
        """The cost by the catalogue's prices."""
        return self.model.cost_usd(self.usage)
