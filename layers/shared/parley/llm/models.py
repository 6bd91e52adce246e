"""The catalogue: which models there are, what they cost, and which one answers.

It is `models.toml`, beside this module or wherever the settings say. Keys stand in it as references, `env:NAME` or
`secret:name`, never as themselves.
"""

import random
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from parley.errors import InvalidInput, ParleyError
from parley.llm.model import Entry, Model
from parley.llm.toml_lines import line_of

__all__ = ["SHIPPED", "Catalogue", "CatalogueInvalid", "Model", "NoModel", "Role", "Strategy"]

SHIPPED = Path(__file__).with_name("models.toml")

type Role = Literal["chat", "summary", "title", "facts", "embedding"]
type Place = tuple[str | int, ...]


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


class Strategy(Entry):
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

    def drawn(self) -> list[str]:
        """Return the models' ids in the order in which to try them, for one call.

        The first of a weighted strategy is drawn, the others follow by weight; a model of weight zero comes last.
        """
        if self.kind != "weighted":
            return self.models
        first = random.choices(self.models, self.weights)[0]  # noqa: S311 - a share of traffic, not a secret
        weights = dict(zip(self.models, self.weights or [1.0] * len(self.models), strict=True))
        others = (model for model in self.models if model != first)
        return [first, *sorted(others, key=lambda model: -weights[model])]


class Catalogue(Entry):
    """All of `models.toml`."""

    roles: dict[Role, str]
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
            raise CatalogueInvalid(source, _told(text, [(error["loc"], error["msg"]) for error in exc.errors()])) from exc
        if mismatches := list(catalogue._mismatches()):
            raise CatalogueInvalid(source, _told(text, mismatches))
        return catalogue

    def _mismatches(self) -> Iterator[tuple[Place, str]]:
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

    def _problems_of_role(self, role: Role, name: str) -> Iterator[str]:
        if name not in self.models and name not in self.strategies:
            yield f"no such model or strategy: {name}"
        elif name in self.models and (self.models[name].kind == "embedding") != (role == "embedding"):
            yield f"{name} is {'an embedding' if role != 'embedding' else 'a chat'} model"
        elif name in self.strategies and role == "embedding":
            yield "name one model: vectors of different models cannot be compared"

    def available(self, environment: Mapping[str, str]) -> dict[str, Model]:
        """Return the chat models that can be called, by id."""
        return {id: model for id, model in self.models.items() if model.kind == "chat" and not model.obstacle(environment)}

    def default(self, environment: Mapping[str, str]) -> str | None:
        """Return the id of the model that usually answers, None if none can."""
        chat = self.roles["chat"]
        ids = self.strategies[chat].models if chat in self.strategies else [chat]
        return next((id for id in ids if id in self.available(environment)), None)

    def ordered(self, name: str | None = None, *, role: Role = "chat", environment: Mapping[str, str]) -> list[str]:
        """Return the ids of the models to try for `name`, a model or a strategy, or for the role; never none.

        A role that the catalogue does not name is played by `chat`. Raises InvalidInput if there is no model of that
        name or nothing of it can be called here, NoModel for a role.
        """
        wanted = name or self.roles.get(role) or self.roles["chat"]
        available = self.available(environment)
        drawn = self.strategies[wanted].drawn() if wanted in self.strategies else [wanted]
        if ids := [id for id in drawn if id in available]:
            return ids
        if name is None:
            raise NoModel(f"nothing of {wanted!r} can be called")
        raise InvalidInput(f"no model {wanted!r} here; there are: {', '.join(available) or 'none'}", loc=("body", "model"))

    def choose(self, name: str | None = None, *, environment: Mapping[str, str]) -> str:
        """Return the id of the first model of `ordered`."""
        return self.ordered(name, environment=environment)[0]

    def embedding(self, environment: Mapping[str, str]) -> Model:
        """Return the model of the role `embedding`. Raises NoModel if there is none or it cannot be called here."""
        model = self.models.get(self.roles.get("embedding", ""))
        if model is None or model.obstacle(environment):
            raise NoModel("no embedding model can be called")
        return model


def _told(text: str, problems: list[tuple[Place, str]]) -> str:
    told = ((place, problem.removeprefix("Value error, ")) for place, problem in problems)
    return "; ".join(f"line {line_of(text, _narrowed(place, problem))}: {_dotted(place)}: {problem}" for place, problem in told)


def _narrowed(place: Place, problem: str) -> Place:
    """Return the place of the field that a message of a whole table's begins with."""
    return (*place, problem.partition(":")[0])


def _dotted(place: Place) -> str:
    return ".".join(map(str, place)) or "file"
