"""How a person types this program's name in the folder they are in."""

import shlex
import shutil
import sys
from pathlib import Path

_NAME = "parley"


def as_typed(started_as: str | None = None, *, executable: str | None = None) -> str:
    """Return the command that starts `parley` again, such as `.venv/bin/parley`, quoted for a shell.

    A relative path is kept as it was typed. An absolute one is what a shell makes of a name that it finds on its PATH,
    so the bare name is returned where that finds the same file. Started as a module, it is the script beside the interpreter.
    """
    path = Path(started_as or sys.argv[0])
    if path.name != _NAME:
        path = Path(executable or sys.executable).with_name(_NAME)
    if path.is_absolute():
        path = Path(_NAME) if shutil.which(_NAME) == str(path) else _from_here(path)
    return shlex.quote(str(path))


def _from_here(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
