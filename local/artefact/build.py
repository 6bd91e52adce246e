"""`sam build`, and what it leaves to be done."""

import compileall
import os
import platform
import py_compile
import subprocess
import sys
from pathlib import Path

from local.artefact.layout import Tree
from local.artefact.repeats import remove_repeats

_WORKERS = 2


class BuildFailed(Exception):
    """There is nothing to deploy; the text says why."""


def build(architecture: str, *, into: Path, cache: Path | None = None, template: Path | None = None) -> None:
    """Build a stack, that in the current folder by default, for `arm64`, `x86_64` or `native`, this machine's own; raises `BuildFailed`."""
    _sam_build(_own_architecture() if architecture == "native" else architecture, into, cache, template)
    tree = Tree(into)
    for function in tree.functions.values():
        for layer in tree.layers.values():
            remove_repeats(function, of=layer)
    compile_bytecode(tree)


def compile_bytecode(tree: Tree) -> None:
    """Write a `.pyc` beside every module, which Lambda itself cannot: its file system is read-only.

    Unchecked, as the times of files do not survive the way there; with the paths that tracebacks have on Lambda.
    """
    for name, folder in {**tree.functions, **tree.layers}.items():
        compiled = compileall.compile_dir(
            folder,
            quiet=1,
            workers=_WORKERS,
            stripdir=folder,
            prependdir=tree.lambda_root(name),
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        if not compiled:
            raise BuildFailed(f"{name} holds a module that Python cannot compile")


def _sam_build(architecture: str, into: Path, cache: Path | None, template: Path | None) -> None:
    scripts = Path(sys.executable).parent
    command = [str(scripts / "sam"), "build", "--parameter-overrides", f"Architecture={architecture}", "--build-dir", str(into)]
    command += ["--cache-dir", str(cache)] if cache else []
    command += ["--template", str(template.resolve())] if template else []
    # It needs a Python with pip on the PATH.
    variables = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', os.defpath)}", "SAM_CLI_TELEMETRY": "0"}
    if subprocess.run(command, env=variables, check=False).returncode:
        raise BuildFailed("`sam build` failed; its own words are above")


def _own_architecture() -> str:
    machine = platform.machine()
    return "arm64" if machine in ("arm64", "aarch64") else machine
