"""Build the stack for cold-start benchmarks, for this machine, with and without compiled modules."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.harness.servers import ServerFailed
from local.runtime.launch import base_interpreter
from local.sam_build.tree import RUNTIME_FOLDER, BuildTree

BUILD = Path(".bench/build")
CACHE = Path(".bench/sam-cache")
_ISOLATED_MAIN = Path("local/runtime/isolated_main.py")


@dataclass(frozen=True)
class Build:
    """A built stack that runs as on Lambda: without this environment's packages and without writing bytecode."""

    name: str
    root: Path

    def paths(self, function: str | None) -> list[str]:
        """Return the search path of a function: task root (omitted for None), layers, AWS's runtime."""
        tree = BuildTree(self.root.resolve())
        task_root = [tree.functions[function]] if function else []
        return [str(path) for path in (*task_root, *tree.layers.values(), RUNTIME_FOLDER)]

    def import_command(self, module: str, function: str | None) -> list[str]:
        """Return a command that imports a module and prints the wall and CPU milliseconds."""
        program = (
            f"import sys, time; sys.path[:0] = {self.paths(function)}; wall, cpu = time.perf_counter(), time.process_time()\n"
            f"import {module}\n"
            "print((time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000)"
        )
        return [*_interpreter(), "-c", program]

    def worker_command(self, handler: str, function: str) -> list[str]:
        """Return the command of a worker: AWS's runtime client with the handler."""
        return [*_interpreter(), str(_ISOLATED_MAIN.resolve()), ":".join(self.paths(function)), handler]


def make_builds(folder: Path) -> list[Build]:
    """Build for this machine and make a copy without `.pyc` in `folder`. The standard library stays compiled, as on Lambda."""
    CACHE.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "local.sam_build", "native", "--build-dir", str(BUILD), "--cache-dir", str(CACHE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"the build failed:\n{(done.stdout + done.stderr)[-2000:]}")
    if not (RUNTIME_FOLDER / "awslambdaric").is_dir():
        raise ServerFailed("AWS's runtime is not installed: run `make runtime`")
    plain = folder / "without-pyc"
    shutil.copytree(BUILD, plain, ignore=shutil.ignore_patterns("__pycache__"))
    return [Build("as shipped", BUILD), Build("without .pyc", plain)]


def _interpreter() -> list[str]:
    return [base_interpreter(), "-I", "-S", "-B"]
