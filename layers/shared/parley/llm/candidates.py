"""Selection of the models to try for a request, and of their order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from parley.llm.catalogue import Catalogue, ModelNotFound, ModelRole
from parley.llm.errors import ContextTooLong, ModelCannot
from parley.llm.messages import ModelRequest
from parley.llm.model import Model
from parley.observability import logger


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may answer, with its id in the catalogue."""

    id: str
    model: Model

    def supports(self, request: ModelRequest) -> bool:
        """Return whether the model has the abilities that the request needs. The prompt's length is not checked."""
        try:
            self.model.check(request, id=self.id)
        except ModelCannot:
            return False
        return True


def candidates_for(
    catalogue: Catalogue, environment: Mapping[str, str], *, name: str | None = None, role: ModelRole = "chat", subject: object = None
) -> list[Candidate]:
    """Return the available models for `name` (a model or a strategy) or else for `role`, in the order in which to try them.

    If no model is available, raises ModelNotFound for a name and NoModel for a role.
    """
    ids = catalogue.ordered(name, role=role, environment=environment, subject=subject)
    return [Candidate(id, catalogue.models[id]) for id in ids]


def preferred_candidates(
    catalogue: Catalogue, environment: Mapping[str, str], *, name: str | None, preferred: str | None, subject: object
) -> list[Candidate]:
    """Return the models to try, in order, for `name`, else for `preferred`, else for the catalogue's default.

    A preferred model that is no longer available is skipped, because the request did not name it. Raises ModelNotFound and
    NoModel.
    """
    try:
        return candidates_for(catalogue, environment, name=name or preferred, subject=subject)
    except ModelNotFound as exc:
        if name:
            raise
        logger.info("preferred_model_skipped", reason=str(exc))
        return candidates_for(catalogue, environment, subject=subject)


def still_available(catalogue: Catalogue, environment: Mapping[str, str], ids: Sequence[str]) -> list[Candidate]:
    """Return the models that are still available, in the order of `ids`."""
    available = catalogue.available(environment)
    return [Candidate(id, available[id]) for id in ids if id in available]


def able_candidates(
    candidates: Sequence[Candidate], build: Callable[[Candidate], ModelRequest], can_serve: Callable[[Candidate, ModelRequest], bool]
) -> tuple[list[Candidate], ModelRequest]:
    """Return the models able to serve a request, and the request as `build` makes it for the first of them.

    `build` raises ContextTooLong or ModelCannot for a model that cannot serve it. Raises the first model's error if no model can.
    """
    errors: list[ContextTooLong | ModelCannot] = []
    for index, candidate in enumerate(candidates):
        try:
            request = build(candidate)
        except (ContextTooLong, ModelCannot) as exc:
            errors.append(exc)
        else:
            return [candidate, *(other for other in candidates[index + 1 :] if can_serve(other, request))], request
    raise errors[0]
