"""Where the code of a function's workers comes from."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from local.template.stack import Function

_BARE = Path(__file__).with_name("bare.py")
_STAND_IN = Path(__file__).with_name("standin")


@dataclass(frozen=True)
class Code:
    """How a worker is started: the folder it starts in, the command before the handler, and what that needs."""

    root: Path
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def from_sources(function: Function, *, wants_stand_in: bool = False) -> Code:
    """Return the checkout's own code, run by this environment's interpreter and packages.

    Where AWS's runtime has no native client, and where it is wanted, the one in Python stands in for it.
    """
    environment = {"PYTHONPATH": str(_STAND_IN)} if wants_stand_in or not _has_native_client() else {}
    return Code(root=function.root, command=(sys.executable, "-m", "awslambdaric"), environment=environment)


def from_artefacts(function: Function, *, runtime: Path) -> Code:
    """Return what `sam build` made, on a search path as Lambda's: task root, layers, `runtime`, standard library.

    `runtime` is a folder with what AWS's runtime brings. Nothing of this environment is seen, nothing is written.
    """
    # A layer is unpacked over the ones before it.
    layers = [str(layer / "python") for layer in reversed(function.layers)]
    paths = os.pathsep.join([str(function.root), *layers, str(runtime)])
    return Code(root=function.root, command=(base_interpreter(), "-I", "-S", "-B", str(_BARE), paths))


@cache
def _has_native_client() -> bool:
    return find_spec("runtime_client") is not None


def base_interpreter() -> str:
    """Return the interpreter that this environment was made from."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)
