"""Pin every dependency group of `pyproject.toml` with hashes: `python requirements/compile.py [--check] [--upgrade]`.

Pins that still satisfy their group stay; `--upgrade` selects the newest versions instead. `--check` writes nothing and
lists stale files. A function's file contains all dependencies of its packages, including those in the layer, because with
hashes pip requires complete lists. `make build` removes the duplicates.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import uv

ROOT = Path(__file__).parent.parent

# These groups have an environment of their own and need not share versions with the others.
SEPARATE = {"dev", "checkov", "mutation", "security"}

# These groups list all that they need: what their packages ask for beyond that is left out.
COMPLETE = {"embedding-model"}

# The largest group comes first and constrains the others, so that a laptop and AWS run the same versions.
FILES = {
    "dev": "requirements/dev.txt",
    "local": "requirements/local.txt",
    "tools": "requirements/tools.txt",
    "page": "requirements/page.txt",
    "layer": "layers/shared/requirements.txt",
    "auth": "functions/auth/requirements.txt",
    "chat": "functions/chat/requirements.txt",
    "documents": "functions/documents/requirements.txt",
    "ingest": "functions/ingest/requirements.txt",
    "summarize": "functions/summarize/requirements.txt",
    "conversation": "functions/conversation/requirements.txt",
    "migrate": "functions/migrate/requirements.txt",
    "tools-function": "functions/tools/requirements.txt",
    "upkeep": "functions/upkeep/requirements.txt",
    "toolrunner": "functions/toolrunner/requirements.txt",
    "embedder": "functions/embedder/requirements.txt",
    "embedding-model": "requirements/embedding-model.txt",
    "telemetry": "layers/telemetry/requirements.txt",
    "langchain": "requirements/langchain.txt",
    "runtime": "requirements/runtime.txt",
    "checkov": "requirements/checkov.txt",
    "mutation": "requirements/mutation.txt",
    "security": "requirements/security.txt",
}


def compile_group(group: str, target: Path, *, tree: Path, upgrade: bool) -> None:
    """Write the pins of `group` to `target`; existing pins in the file stay if they satisfy the group."""
    command = [uv.find_uv_bin(), "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--python-version", "3.13"]
    command += ["--custom-compile-command", "make deps", "--group", group, "--output-file", str(target)]
    command += ["--upgrade"] if upgrade else []
    command += ["--no-deps"] if group in COMPLETE else []
    if group not in SEPARATE:
        command += ["--constraint", str(tree / FILES["dev"]), "--no-annotate"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def compile_all(tree: Path, *, upgrade: bool = False) -> None:
    """Compile every group into `tree`, a folder with the layout of the repository."""
    for group, name in FILES.items():
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if tree != ROOT and (ROOT / name).exists():
            target.write_text((ROOT / name).read_text())
        compile_group(group, target, tree=tree, upgrade=upgrade)


def stale_files() -> list[str]:
    """Return the requirements files that no longer match `pyproject.toml`."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        compile_all(tree)
        return [name for name in FILES.values() if (tree / name).read_text() != (ROOT / name).read_text()]


def main(arguments: list[str]) -> int:
    """Compile or check, and return the exit status."""
    if "--check" not in arguments:
        compile_all(ROOT, upgrade="--upgrade" in arguments)
        return 0
    stale = stale_files()
    for name in stale:
        print(f"{name} does not match pyproject.toml: run `make deps`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
