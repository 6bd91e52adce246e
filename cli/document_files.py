"""The files that `parley documents add` is given: files, folders with all that is in them, and standard input."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

import click

STANDARD_INPUT = Path("-")
# The server reads these binary formats; every other document is text.
BINARY_SUFFIXES = frozenset({".pdf", ".docx"})
SNIFFED_BYTES = 8192


@dataclass(frozen=True)
class FoundFiles:
    """The files to add, and for each file that is left out its path and the reason."""

    files: list[Path]
    skipped: list[tuple[Path, str]]


@contextmanager
def document_files(given: Sequence[Path], *, globs: Sequence[str] = (), stdin_name: str = "stdin.txt") -> Iterator[FoundFiles]:
    """Yield the files at the given paths. A folder stands for all files below it whose name matches one of `globs`.

    `-` stands for standard input, which is kept in a temporary file called `stdin_name`. Raises UsageError for a given file that
    cannot be added, and if a folder has no file that can.
    """
    with TemporaryDirectory(prefix="parley-") as folder:
        files: list[Path] = []
        skipped: list[tuple[Path, str]] = []
        for path in given:
            if path == STANDARD_INPUT:
                files.append(_saved_input(Path(folder) / PurePath(stdin_name).name))
            elif path.is_dir():
                _add_folder(path, globs, files, skipped)
            elif reason := _problem(path):
                raise click.UsageError(f"{path} {reason}.")
            else:
                files.append(path)
        if not files:
            reasons = "".join(f"\n  {path}: {reason}" for path, reason in skipped)
            raise click.UsageError(f"There are no files to add in {', '.join(map(str, given))}.{reasons}")
        yield FoundFiles(files, skipped)


def _add_folder(folder: Path, globs: Sequence[str], files: list[Path], skipped: list[tuple[Path, str]]) -> None:
    """Add the folder's files in order. Hidden files, and files that match no glob, are left out silently."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_dir() or any(part.startswith(".") for part in relative.parts):
            continue
        if globs and not any(relative.full_match(glob) or PurePath(path.name).full_match(glob) for glob in globs):
            continue
        reason = _problem(path) or ("" if _is_readable(path) else "is neither text nor PDF nor DOCX")
        if reason:
            skipped.append((path, reason))
        else:
            files.append(path)


def _problem(path: Path) -> str:
    """Return the reason why a file cannot be added, or an empty string."""
    if not path.is_file():
        return "is not a regular file"
    return "" if path.stat().st_size else "is empty: add a file with content"


def _is_readable(path: Path) -> bool:
    if path.suffix.lower() in BINARY_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return b"\0" not in file.read(SNIFFED_BYTES)
    except OSError:
        return False


def _saved_input(path: Path) -> Path:
    content = sys.stdin.buffer.read()
    if not content.strip():
        raise click.UsageError("Standard input is empty: pipe a document into it.")
    path.write_bytes(content)
    return path
