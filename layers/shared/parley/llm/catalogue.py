"""The model catalogue: which models exist, what they cost, and which model plays which role.

It is read from `models.toml` beside this module, or from the source that the settings select. It contains references to keys, `env:NAME`
or `secret:name`, never the keys themselves. Errors name the line of each mistake. This module finds the lines, because `tomllib` does not
report them for valid TOML.
"""

import hashlib
import random
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from parley.errors import ParleyError, untrusted
from parley.llm.model import CatalogueTable, GuardSettings, Model

_TOML_TABLE = re.compile(r"^\s*\[+\s*(.+?)\s*\]+\s*(?:#.*)?$")
_TOML_FIELD = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_TOML_NAME = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


def line_of(text: str, field_path: Sequence[str | int]) -> int:
    """Return the line (from 1) of the field at `field_path`, or of its nearest enclosing table, or 1 if the text has neither."""
    lines = _toml_lines(text)
    names = tuple(map(str, field_path))
    for length in range(len(names), 0, -1):
        if names[:length] in lines:
            return lines[names[:length]]
    return 1


def _toml_lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the line of each table and field. A line inside a multi-line string may be mistaken for a field."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _TOML_TABLE.match(line):
            table = _toml_names(match[1])
            lines.setdefault(table, number)
        elif match := _TOML_FIELD.match(line):
            lines.setdefault((*table, *_toml_names(match[1])), number)
    return lines


def _toml_names(dotted: str) -> tuple[str, ...]:
    return tuple(name.strip("\"'") for name in _TOML_NAME.findall(dotted))


SHIPPED = Path(__file__).with_name("models.toml")

type ModelRole = Literal["chat", "summary", "title", "facts", "describe", "embedding", "rerank"]
type OfflineModelPolicy = Literal["auto", "on", "off"]
type FieldPath = tuple[str | int, ...]

# All roles that are not listed here need a chat model.
_KINDS_BY_ROLE: dict[ModelRole, str] = {"embedding": "embedding", "rerank": "rerank"}
_KIND_NAMES = {"chat": "a chat", "embedding": "an embedding", "rerank": "a rerank"}


class CatalogueInvalid(ParleyError):
    """The catalogue is invalid; the message names its source, the lines and the mistakes."""

    code = "catalogue_invalid"

    def __init__(self, source: object, reason: str) -> None:
        super().__init__(f"{source}: {reason}")


class NoModel(ParleyError):
    """The role has no available model: none is configured, or the key is missing."""

    status, code = 503, "no_model"
    public_message = "No model is available. Contact the operator."
    retry_after_s = 60.0


class ModelNotFound(ParleyError):
    """The request names a model that is not in the catalogue or not available."""

    status, code = 404, "model_not_found"

    def __init__(self, name: str, *, allowed: Iterable[str]) -> None:
        super().__init__(f"unknown or unavailable model {untrusted(name)}")
        self.public_message = f"Unknown or unavailable model {name!r}. Available models: {', '.join(allowed) or 'none'}."


class Strategy(CatalogueTable):
    """A rule that selects among models: a fixed model, the first available one, or one drawn by weight."""

    kind: Literal["fixed", "fallback", "weighted"]
    models: list[str] = Field(min_length=1)
    weights: list[float] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.weights is not None and (len(self.weights) != len(self.models) or min(self.weights) < 0 or sum(self.weights) <= 0):
            raise ValueError("weights: must be one non-negative number per model, not all zero")
        if self.weights is not None and self.kind != "weighted":
            raise ValueError("weights: allowed only in a weighted strategy")
        if self.kind == "fixed" and len(self.models) > 1:
            raise ValueError("models: a fixed strategy must name exactly one model")
        if len(set(self.models)) < len(self.models):
            raise ValueError("models: must not contain duplicates")
        return self

    def drawn(self, subject: object = None) -> list[str]:
        """Return the models' ids in the order in which to try them.

        A weighted strategy draws the first model at random; the others follow by descending weight. The
        same subject always draws the same model until models or weights change. Without a subject, each call draws again.
        """
        if self.kind != "weighted":
            return self.models
        weights = dict(zip(self.models, self.weights or [1.0] * len(self.models), strict=True))
        first = self._model_at(_subject_share(self.models, subject), weights)
        others = (model for model in self.models if model != first)
        return [first, *sorted(others, key=lambda model: -weights[model])]

    def _model_at(self, share: float, weights: Mapping[str, float]) -> str:
        """Return the model whose interval contains `share` (0 to 1) when the weights are laid end to end."""
        end, weighted = 0.0, [model for model in self.models if weights[model] > 0]
        for model in weighted:
            end += weights[model]
            if share * sum(weights.values()) < end:
                return model
        return weighted[-1]


class Catalogue(CatalogueTable):
    """The whole catalogue: models by id, strategies by name, and the model or strategy of each role."""

    roles: dict[ModelRole, str]
    models: dict[str, Model]
    strategies: dict[str, Strategy] = Field(default_factory=dict)
    guard: GuardSettings | None = None
    _offline_model: OfflineModelPolicy = PrivateAttr("on")

    @model_validator(mode="after")
    def _guards_models(self) -> Self:
        """Give each model without guards of its own those of the catalogue. A model carries its guards wherever it is called."""
        if self.guard is not None:
            for id, model in self.models.items():
                if model.guard is None:
                    self.models[id] = model.model_copy(update={"guard": self.guard})
        return self

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Read the catalogue at `path`, or the one that ships. Raises CatalogueInvalid."""
        path = path or SHIPPED
        try:
            return cls.parse(path.read_text(), source=path)
        except (OSError, UnicodeDecodeError) as exc:
            raise CatalogueInvalid(path, str(exc)) from exc

    @classmethod
    def parse(cls, text: str, *, source: object) -> Self:
        """Parse a catalogue; `source` names it in errors. Raises CatalogueInvalid with the lines of all mistakes."""
        try:
            catalogue = cls.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as exc:
            raise CatalogueInvalid(source, str(exc)) from exc
        except ValidationError as exc:
            raise CatalogueInvalid(source, _format_problems(text, [(error["loc"], error["msg"]) for error in exc.errors()])) from exc
        if problems := list(catalogue._reference_problems()):
            raise CatalogueInvalid(source, _format_problems(text, problems))
        return catalogue

    def _reference_problems(self) -> Iterator[tuple[FieldPath, str]]:
        """Yield the path and the problem of each name that is missing, ambiguous, unknown or of the wrong kind."""
        if "chat" not in self.roles:
            yield ("roles", "chat"), "required: name a model or strategy"
        for id in self.strategies.keys() & self.models.keys():
            yield ("strategies", id), "a model has the same name"
        for id, strategy in self.strategies.items():
            kind = "embedding" if id == self.roles.get("embedding") else "chat"
            for model in strategy.models:
                if model not in self.models:
                    yield ("strategies", id, "models"), f"unknown model: {model}"
                elif self.models[model].kind != kind:
                    yield ("strategies", id, "models"), f"not {_KIND_NAMES[kind]} model: {model}"
        for role, name in self.roles.items():
            yield from (((("roles", role)), problem) for problem in self._role_problems(role, name))

    def _role_problems(self, role: ModelRole, name: str) -> Iterator[str]:
        if name not in self.models and name not in self.strategies:
            yield f"unknown model or strategy: {name}"
        elif name in self.models and self.models[name].kind != _KINDS_BY_ROLE.get(role, "chat"):
            yield f"{name} is {_KIND_NAMES[self.models[name].kind]} model"
        elif name in self.strategies and role == "embedding" and self.strategies[name].kind == "weighted":
            yield "must not name a weighted strategy, because vectors of different models cannot be compared"
        elif name in self.strategies and role != "embedding" and name == self.roles.get("embedding"):
            yield f"{name} is a strategy of embedding models"
        elif name in self.strategies and role == "rerank":
            yield "must name a model, because a strategy selects among chat models"

    def with_offline_model(self, policy: OfflineModelPolicy) -> Self:
        """Return the catalogue with another policy for offline chat models.

        `auto` hides them if the key of another chat model is available, except from roles without another available model.
        """
        catalogue = self.model_copy()
        catalogue._offline_model = policy
        return catalogue

    def available(self, environment: Mapping[str, str]) -> dict[str, Model]:
        """Return the chat models whose keys are available, by id, without offline models that the policy hides."""
        models = {id: model for id, model in self.models.items() if model.kind == "chat" and not model.obstacle(environment)}
        shown = {id: model for id, model in models.items() if model.provider != "offline"}
        # For `auto`, only models with a key count: a model without a key, for example on a developer's machine, may not run.
        if self._offline_model == "on" or (self._offline_model == "auto" and not any(model.api_key for model in shown.values())):
            return models
        if self._offline_model == "auto":
            for ids in self._ids_by_role().values():
                shown |= {} if shown.keys() & set(ids) else {id: models[id] for id in ids if id in models}
        return shown

    def _ids_by_role(self) -> dict[ModelRole, list[str]]:
        return {role: self.strategies[name].models if name in self.strategies else [name] for role, name in self.roles.items()}

    def default(self, environment: Mapping[str, str]) -> str | None:
        """Return the id of the first available model of the role `chat`, or None."""
        chat = self.roles["chat"]
        ids = self.strategies[chat].models if chat in self.strategies else [chat]
        return next((id for id in ids if id in self.available(environment)), None)

    def roles_of(self, id: str, *, environment: Mapping[str, str]) -> list[ModelRole]:
        """Return the roles for which this model is the first available one."""
        available = self.available(environment)
        return [role for role, ids in self._ids_by_role().items() if next((other for other in ids if other in available), None) == id]

    def ordered(
        self, name: str | None = None, *, role: ModelRole = "chat", environment: Mapping[str, str], subject: object = None
    ) -> list[str]:
        """Return the ids of the available models for `name` (a model or a strategy) or else for `role`. The list is never empty.

        A role that the catalogue omits uses the models of `chat`. A weighted strategy draws for `subject`. If no
        model is available, raises ModelNotFound for a name and NoModel for a role.
        """
        model_or_strategy = name or self.roles.get(role) or self.roles["chat"]
        available = self.available(environment)
        strategy = self.strategies.get(model_or_strategy)
        drawn = strategy.drawn(subject) if strategy else [model_or_strategy]
        if ids := [id for id in drawn if id in available]:
            return ids
        if name is None:
            raise NoModel(f"no model of {model_or_strategy!r} is available")
        raise ModelNotFound(model_or_strategy, allowed=[*available, *self.available_strategies(environment)])

    def available_strategies(self, environment: Mapping[str, str]) -> list[str]:
        """Return the strategies with at least one available model."""
        available = self.available(environment)
        return [name for name, strategy in self.strategies.items() if available.keys() & set(strategy.models)]

    def embedding(self, environment: Mapping[str, str]) -> tuple[str, Model]:
        """Return the id and the model of the role `embedding`; of a strategy, the first model that is available.

        Only keys and the configuration decide, never an outage: vectors of different models cannot be compared. Raises NoModel if the
        role is not configured or no model of it is available.
        """
        for id in self._ids_by_role().get("embedding", []):
            if not self.models[id].obstacle(environment):
                return id, self.models[id]
        raise NoModel("no embedding model is available")

    def reranking(self, environment: Mapping[str, str]) -> Model:
        """Return the model of the role `rerank`. Raises NoModel if no model is configured or its key is missing."""
        model = self.models.get(self.roles.get("rerank", ""))
        if model is None or model.obstacle(environment):
            raise NoModel("no rerank model is available")
        return model


def _subject_share(models: list[str], subject: object) -> float:
    """Return a number from 0 up to 1: always the same for the same models and subject, random without a subject."""
    if subject is None:
        return random.random()  # noqa: S311 - a share of traffic, not a secret
    digest = hashlib.sha256(f"{' '.join(models)}:{subject}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _format_problems(text: str, problems: list[tuple[FieldPath, str]]) -> str:
    cleaned = ((field_path, problem.removeprefix("Value error, ")) for field_path, problem in problems)
    return "; ".join(
        f"line {line_of(text, _narrowed_path(field_path, problem))}: {_dotted_path(field_path)}: {problem}"
        for field_path, problem in cleaned
    )


def _narrowed_path(field_path: FieldPath, problem: str) -> FieldPath:
    """Extend the path by the field that `problem` names, since the validator of a table raises `field: problem`."""
    return (*field_path, problem.partition(":")[0])


def _dotted_path(field_path: FieldPath) -> str:
    return ".".join(map(str, field_path))
