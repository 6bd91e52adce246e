"""A model catalogue that changes without a restart.

It comes from a parameter of the Parameter Store, from a file, or from the file that ships. A parameter is read again
once a minute; a file is checked on every turn. If a new catalogue is invalid, it is rejected and the previous one stays in use.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self

from parley.aws.client import aws_client, translated_errors
from parley.llm.catalogue import SHIPPED, Catalogue, CatalogueInvalid, OfflineModelPolicy
from parley.observability import logger
from parley.settings import CatalogueSettings
from parley.snapshots import before_snapshot

PARAMETER_CACHE_S = 60.0


class CatalogueSource(Protocol):
    """The source of the catalogue's text; `str()` names it."""

    def changed(self) -> str | None:
        """Return the text if it has changed since the last call, else None. Raises OSError if it cannot be read."""
        ...


class FileSource:
    """A file, read again when its modification time, size or inode has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last_read: tuple[int, int, int] | None = None

    def __str__(self) -> str:
        return str(self._path)

    def changed(self) -> str | None:
        """Return the text if the file has changed, else None."""
        stat = self._path.stat()
        current = stat.st_mtime_ns, stat.st_size, stat.st_ino
        if current == self._last_read:
            return None
        text = self._path.read_text(errors="replace")
        self._last_read = current
        return text


class ParameterSource:
    """A parameter of AWS Systems Manager, fetched at most once a minute."""

    def __init__(self, name: str, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._name, self._now_s = name, now_s
        self._fetched_s: float | None = None
        self._last_read: tuple[int, str] | None = None
        before_snapshot(self.expire)

    def __str__(self) -> str:
        return f"parameter {self._name}"

    def expire(self) -> None:
        """Fetch the parameter at the next call, however fresh the last text is."""
        self._fetched_s = None

    def changed(self) -> str | None:
        """Return the text if the version or the text has changed: a recreated parameter starts at version 1 again."""
        if self._fetched_s is not None and self._now_s() - self._fetched_s < PARAMETER_CACHE_S:
            return None
        self._fetched_s = self._now_s()  # before the call, so that a failing store is not called on every turn
        current = _fetch_parameter(self._name)
        if current == self._last_read:
            return None
        self._last_read = current
        return current[1]


class LiveCatalogue:
    """Returns the newest valid catalogue. A turn calls this once and uses the same catalogue until the turn ends."""

    def __init__(self, source: CatalogueSource, *, first: Catalogue | None = None, offline_model: OfflineModelPolicy = "on") -> None:
        """Read the catalogue. Without `first` as a fallback, a failure raises CatalogueInvalid or OSError."""
        self._source, self._offline_model = source, offline_model
        self._current = first.with_offline_model(offline_model) if first else self._read()
        if first:
            self()

    @classmethod
    def of(cls, settings: CatalogueSettings) -> Self:
        """Return the catalogue that the settings select: the parameter, else the file, else the one that ships.

        A parameter falls back to the catalogue that ships, so that an invalid parameter cannot keep functions from starting.
        """
        if settings.models_parameter:
            return cls(ParameterSource(settings.models_parameter), first=Catalogue.load(), offline_model=settings.offline_model)
        return cls(FileSource(Path(settings.models_file) if settings.models_file else SHIPPED), offline_model=settings.offline_model)

    def __call__(self) -> Catalogue:
        """Return the current catalogue."""
        try:
            text = self._source.changed()
            if text is not None:
                self._current = self._parse(text)
                logger.info("catalogue_changed", source=str(self._source))
        except CatalogueInvalid as exc:
            logger.error("catalogue_rejected", reason=str(exc))
        except OSError as exc:
            logger.warning("catalogue_not_read", source=str(self._source), reason=str(exc))
        return self._current

    def _read(self) -> Catalogue:
        return self._parse(self._source.changed() or "")

    def _parse(self, text: str) -> Catalogue:
        return Catalogue.parse(text, source=self._source).with_offline_model(self._offline_model)


def _fetch_parameter(name: str) -> tuple[int, str]:
    with translated_errors(lambda _code, error: OSError(str(error))):
        parameter = aws_client("ssm", read_timeout_s=2).get_parameter(Name=name, WithDecryption=True)["Parameter"]
    return parameter["Version"], parameter["Value"]
