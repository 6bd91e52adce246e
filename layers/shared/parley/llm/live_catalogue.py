"""The catalogue that changes without a restart.

It comes from a parameter of the Parameter Store, a file, or what ships, and is looked at again: the parameter once a
minute, the file at each turn. A new one that is invalid is refused and the old one stays.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self

from parley.llm.catalogue import SHIPPED, Catalogue, CatalogueInvalid
from parley.observability import logger
from parley.settings import CatalogueSettings

PARAMETER_CACHE_S = 60.0


class CatalogueSource(Protocol):
    """Where the catalogue's text comes from; `str()` names it."""

    def changed(self) -> str | None:
        """Return the text if it is another than last time. Raises OSError where it cannot be read now."""
        ...


class FileSource:
    """A file, read again when its time, size or place on the disk has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    def __str__(self) -> str:
        return str(self._path)

    def changed(self) -> str | None:
        """Return the text if the file is another."""
        stat = self._path.stat()
        now = stat.st_mtime_ns, stat.st_size, stat.st_ino
        if now == self._seen:
            return None
        text = self._path.read_text(errors="replace")
        self._seen = now
        return text


class ParameterSource:
    """A parameter of AWS Systems Manager, asked for at most once a minute."""

    def __init__(self, name: str, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._name, self._now_s = name, now_s
        self._asked_s: float | None = None
        self._seen: tuple[int, str] | None = None

    def __str__(self) -> str:
        return f"parameter {self._name}"

    def changed(self) -> str | None:
        """Return the text if the parameter is another; one that was deleted and made anew begins with version 1 again."""
        if self._asked_s is not None and self._now_s() - self._asked_s < PARAMETER_CACHE_S:
            return None
        self._asked_s = self._now_s()  # a store that does not answer is not asked at each turn, either
        found = _fetch_parameter(self._name)
        if found == self._seen:
            return None
        self._seen = found
        return found[1]


def _fetch_parameter(name: str) -> tuple[int, str]:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client_config = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 2})
    try:
        found = boto3.client("ssm", config=client_config).get_parameter(Name=name, WithDecryption=True)["Parameter"]
    except (BotoCoreError, ClientError) as exc:
        raise OSError(str(exc)) from exc
    return found["Version"], found["Value"]


class LiveCatalogue:
    """Gives the newest catalogue that was valid; one is called for once a turn, and kept for that turn."""

    def __init__(self, source: CatalogueSource, *, first: Catalogue | None = None) -> None:
        """Read it. Raises CatalogueInvalid or OSError if that fails and there is no `first` to begin with."""
        self._source = source
        self._current = first or self._read()
        if first:
            self()

    @classmethod
    def of(cls, settings: CatalogueSettings) -> Self:
        """Make the one that the settings ask for: the parameter, else the file, else what ships.

        The parameter begins with what ships: nobody can mend it while every start fails for it.
        """
        if settings.models_parameter:
            return cls(ParameterSource(settings.models_parameter), first=Catalogue.load())
        return cls(FileSource(Path(settings.models_file) if settings.models_file else SHIPPED))

    def __call__(self) -> Catalogue:
        """Return the catalogue as it is now."""
        try:
            text = self._source.changed()
            if text is not None:
                self._current = Catalogue.parse(text, source=self._source)
                logger.info("the catalogue of models has changed", source=str(self._source))
        except CatalogueInvalid as exc:
            logger.error("a changed catalogue of models is refused", reason=str(exc))
        except OSError as exc:
            logger.warning("the catalogue of models cannot be read again", source=str(self._source), reason=str(exc))
        return self._current

    def _read(self) -> Catalogue:
        return Catalogue.parse(self._source.changed() or "", source=self._source)
