"""Taking out of a function what its layer brings too (docs/adr/0001 says how it came in)."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Distribution:
    """An installed package, known by its `.dist-info` folder."""

    info: Path

    @property
    def identity(self) -> tuple[str, str]:
        """Its normalised name and its version (PEP 503, PEP 427)."""
        name, _, version = self.info.name.removesuffix(".dist-info").partition("-")
        return re.sub(r"[-_.]+", "-", name).lower(), version

    def files(self) -> Iterator[Path]:
        """Yield the files that its RECORD names below the folder it is installed in, those that are there."""
        root = self.info.parent.resolve()
        with (self.info / "RECORD").open(encoding="utf-8", newline="") as record:
            for name, *_ in csv.reader(record):
                path = (root / name).resolve()
                if path.is_relative_to(root) and path.is_file():
                    yield path


def distributions(folder: Path) -> list[Distribution]:
    """Return what is installed in the folder."""
    return [Distribution(info) for info in sorted(folder.glob("*.dist-info")) if (info / "RECORD").is_file()]


def remove_repeats(folder: Path, *, of: Path) -> list[str]:
    """Remove from `folder` each distribution that `of` holds in the same version; return their names.

    What a distribution that stays also lists is kept, and another version of a package stays whole: the task root
    comes first on the search path.
    """
    brought = {one.identity for one in distributions(of)}
    repeated = [one for one in distributions(folder) if one.identity in brought]
    kept = {path for one in distributions(folder) if one not in repeated for path in one.files()}
    for one in repeated:
        for path in [path for path in one.files() if path not in kept]:
            path.unlink()
            _remove_if_empty(path.parent, within=folder.resolve())
    return [one.identity[0] for one in repeated]


def _remove_if_empty(folder: Path, *, within: Path) -> None:
    while folder != within and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
