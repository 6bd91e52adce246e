"""The model catalogue: which models exist, what they cost, and which model plays which role.

It is `models.toml`, beside this module or wherever the settings say. Keys stand in it as references, `env:NAME` or
`secret:name`, never as themselves. Errors name the line, which `tomllib` does not report.
"""

import hashlib
import random
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from parley.errors import ParleyError
from parley.llm.model import CatalogueTable, Model

_TOML_TABLE = re.compile(r"^\s*\[+\s*(.+?)\s*\]+\s*(?:#.*)?$")
_TOML_FIELD = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_TOML_NAME = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


def line_of(text: str, field_path: Sequence[str | int]) -> int:
    """Return the line (from 1) of the field at `place`, or of the nearest table around it; 1 where neither is there."""
    lines = _toml_lines(text)
    names = tuple(map(str, field_path))
    for length in range(len(names), 0, -1):
        if names[:length] in lines:
            return lines[names[:length]]
    return 1


def _toml_lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the line of each table and field. Lines inside strings of several lines may pass for fields; no more is needed."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _TOML_TABLE.match(line):
            table = _toml_names(match[1])
            found.setdefault(table, number)
        elif match := _TOML_FIELD.match(line):
            found.setdefault((*table, *_toml_names(match[1])), number)
    return found


def _toml_names(dotted: str) -> tuple[str, ...]:
    return tuple(name.strip("\"'") for name in _TOML_NAME.findall(dotted))


SHIPPED = Path(__file__).with_name("models.toml")

type ModelRole = Literal["chat", "summary", "title", "facts", "describe", "embedding", "rerank"]
type FieldPath = tuple[str | int, ...]

# All other roles are played by chat models.
_KINDS_BY_ROLE: dict[ModelRole, str] = {"embedding": "embedding", "rerank": "rerank"}
_KIND_NAMES = {"chat": "a chat", "embedding": "an embedding", "rerank": "a rerank"}


class CatalogueInvalid(ParleyError):
    """`models.toml` cannot be used; the message names the file, the lines, and what is wrong there."""

    code = "catalogue_invalid"

    def __init__(self, source: object, reason: str) -> None:
        super().__init__(f"{source}: {reason}")


class NoModel(ParleyError):
    """Nothing that the catalogue names for chat can be called here."""

    status, code = 503, "no_model"
    public_message = "No model can answer here. Tell whoever runs this server."
    retry_after_s = 60.0


class ModelNotFound(ParleyError):
    """The request names a model that is not in the catalogue, or that cannot be called here."""

    status, code = 404, "model_not_found"

    def __init__(self, name: str, *, allowed: Iterable[str]) -> None:
        super().__init__(f"no model {name!r} here")
        self.public_message = f"There is no model {name!r} here. There are: {', '.join(allowed) or 'none'}."


class Strategy(CatalogueTable):
    """How to choose among models: the one named, the first that can answer, or one drawn by weight."""

    kind: Literal["fixed", "fallback", "weighted"]
    models: list[str] = Field(min_length=1)
    weights: list[float] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.weights is not None and (len(self.weights) != len(self.models) or min(self.weights) < 0 or sum(self.weights) <= 0):
            raise ValueError("weights: one for each model, none below zero, not all zero")
        if self.weights is not None and self.kind != "weighted":
            raise ValueError("weights: only a weighted strategy has them")
        if self.kind == "fixed" and len(self.models) > 1:
            raise ValueError("models: a fixed strategy names one")
        if len(set(self.models)) < len(self.models):
            raise ValueError("models: one of them stands twice")
        return self

    def drawn(self, subject: object = None) -> list[str]:
        """Return the models' ids in the order in which to try them.

        The first of a weighted strategy is drawn, the others follow by weight; a model of weight zero comes last. The
        same subject always draws the same, while models and weights stay; without one it is drawn anew each time.
        """
        if self.kind != "weighted":
            return self.models
        weights = dict(zip(self.models, self.weights or [1.0] * len(self.models), strict=True))
        first = self._at(_subject_share(self.models, subject), weights)
        others = (model for model in self.models if model != first)
        return [first, *sorted(others, key=lambda model: -weights[model])]

    def _at(self, share: float, weights: Mapping[str, float]) -> str:
        """Return whose part of all the weights `share` falls into."""
        reached, chosen = 0.0, [model for model in self.models if weights[model] > 0]
        for model in chosen:
            reached += weights[model]
            if share * sum(weights.values()) < reached:
                return model
        return chosen[-1]


class Catalogue(CatalogueTable):
    """All of `models.toml`."""

    roles: dict[ModelRole, str]
    models: dict[str, Model]
    strategies: dict[str, Strategy] = Field(default_factory=dict)

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Read the file, or the one that ships. Raises CatalogueInvalid."""
        path = path or SHIPPED
        try:
            return cls.parse(path.read_text(), source=path)
        except (OSError, UnicodeDecodeError) as exc:
            raise CatalogueInvalid(path, str(exc)) from exc

    @classmethod
    def parse(cls, text: str, *, source: object) -> Self:
        """Read a catalogue from text; `source` names it in errors. Raises CatalogueInvalid with the lines of all mistakes."""
        try:
            catalogue = cls.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as exc:
            raise CatalogueInvalid(source, str(exc)) from exc
        except ValidationError as exc:
            raise CatalogueInvalid(source, _described(text, [(error["loc"], error["msg"]) for error in exc.errors()])) from exc
        if mismatches := list(catalogue._mismatches()):
            raise CatalogueInvalid(source, _described(text, mismatches))
        return catalogue

    def _mismatches(self) -> Iterator[tuple[FieldPath, str]]:
        """Yield where names lead nowhere."""
        if "chat" not in self.roles:
            yield ("roles", "chat"), "name the model or strategy that answers"
        for id in self.strategies.keys() & self.models.keys():
            yield ("strategies", id), "a model has the same name"
        for id, strategy in self.strategies.items():
            for model in strategy.models:
                if model not in self.models:
                    yield ("strategies", id, "models"), f"no such model: {model}"
                elif self.models[model].kind != "chat":
                    yield ("strategies", id, "models"), f"no chat model: {model}"
        for role, name in self.roles.items():
            yield from (((("roles", role)), problem) for problem in self._problems_of_role(role, name))

    def _problems_of_role(self, role: ModelRole, name: str) -> Iterator[str]:
        if name not in self.models and name not in self.strategies:
            yield f"no such model or strategy: {name}"
        elif name in self.models and self.models[name].kind != _KINDS_BY_ROLE.get(role, "chat"):
            yield f"{name} is {_KIND_NAMES[self.models[name].kind]} model"
        elif name in self.strategies and role == "embedding":
            yield "name one model: vectors of different models cannot be compared"
        elif name in self.strategies and role == "rerank":
            yield "name one model: a strategy chooses among chat models"

    def available(self, environment: Mapping[str, str]) -> dict[str, Model]:
        """Return the chat models that can be called, by id."""
        return {id: model for id, model in self.models.items() if model.kind == "chat" and not model.obstacle(environment)}

    def default(self, environment: Mapping[str, str]) -> str | None:
        """Return the id of the model that usually answers, None if none can."""
        chat = self.roles["chat"]
        ids = self.strategies[chat].models if chat in self.strategies else [chat]
        return next((id for id in ids if id in self.available(environment)), None)

    def roles_of(self, id: str, *, environment: Mapping[str, str]) -> list[ModelRole]:
        """Return the roles that this model usually plays."""
        available = self.available(environment)
        wanted = {role: self.strategies[name].models if name in self.strategies else [name] for role, name in self.roles.items()}
        return [role for role, ids in wanted.items() if next((one for one in ids if one in available), None) == id]

    def ordered(
        self, name: str | None = None, *, role: ModelRole = "chat", environment: Mapping[str, str], subject: object = None
    ) -> list[str]:
        """Return the ids of the models to try for `name`, a model or a strategy, or for the role; never none.

        A role that the catalogue does not name is played by `chat`. `subject` is who a weighted strategy draws for.
        Raises ModelNotFound if there is no model of that name or nothing of it can be called here, NoModel for a role.
        """
        wanted = name or self.roles.get(role) or self.roles["chat"]
        available = self.available(environment)
        drawn = self.strategies[wanted].drawn(subject) if wanted in self.strategies else [wanted]
        if ids := [id for id in drawn if id in available]:
            return ids
        if name is None:
            raise NoModel(f"nothing of {wanted!r} can be called")
        raise ModelNotFound(wanted, allowed=[*available, *self._strategies(available)])

    def _strategies(self, available: Mapping[str, Model]) -> list[str]:
        """Return the strategies of which something can be called."""
        return [name for name, strategy in self.strategies.items() if available.keys() & set(strategy.models)]

    def embedding(self, environment: Mapping[str, str]) -> Model:
        """Return the model of the role `embedding`. Raises NoModel if there is none or it cannot be called here."""
        model = self.models.get(self.roles.get("embedding", ""))
        if model is None or model.obstacle(environment):
            raise NoModel("no embedding model can be called")
        return model

    def reranking(self, environment: Mapping[str, str]) -> Model:
        """Return the model of the role `rerank`. Raises NoModel if there is none or it cannot be called here."""
        model = self.models.get(self.roles.get("rerank", ""))
        if model is None or model.obstacle(environment):
            raise NoModel("no rerank model can be called")
        return model


def _subject_share(models: list[str], subject: object) -> float:
    """Return a number from 0 up to 1 that is the subject's own."""
    if subject is None:
        return random.random()  # noqa: S311 - a share of traffic, not a secret
    digest = hashlib.sha256(f"{' '.join(models)}:{subject}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _described(text: str, problems: list[tuple[FieldPath, str]]) -> str:
    told = ((field_path, problem.removeprefix("Value error, ")) for field_path, problem in problems)
    return "; ".join(
        f"line {line_of(text, _narrowed_path(field_path, problem))}: {_dotted_path(field_path)}: {problem}" for field_path, problem in told
    )


def _narrowed_path(field_path: FieldPath, problem: str) -> FieldPath:
    """Return the place of the field that a message of a whole table's begins with."""
    return (*field_path, problem.partition(":")[0])


def _dotted_path(field_path: FieldPath) -> str:
    return ".".join(map(str, field_path)) or "file"
