"""Runs the previous release's tests on this release's schema: `python -m tests.contract.previous_release`, `make previous-release`.

During a deployment, the previous release's functions serve requests on a database that is already migrated, and after a
rollback they do so for as long as it takes. The tree of the last tag gets this release's migrations; its code and its tests stay.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.conftest import ROOT

MIGRATIONS = Path("layers/shared/parley/db/migrations")
# The suites that use the database. The schema's own test compares the schema with the code of the same release.
SUITES = ("tests/shared/db", "tests/functions")
EXCLUDED = ("tests/shared/db/test_schema.py", "tests/functions/migrate")


def last_tag(root: Path) -> str | None:
    """Return the newest tag of a release that is not the present commit's, or None."""
    command = ["git", "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"]
    for commit in ("HEAD", "HEAD^"):
        found = subprocess.run([*command, commit], cwd=root, capture_output=True, text=True, check=False).stdout.strip()
        is_present = found and _commit(root, found) == _commit(root, "HEAD")
        if found and not is_present:
            return found
    return None


def _commit(root: Path, name: str) -> str:
    return subprocess.run(["git", "rev-parse", f"{name}^{{commit}}"], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def checked_out(root: Path, tag: str, folder: Path) -> None:
    """Write the tree of `tag` to `folder`, with the migrations of the tree at `root`."""
    archive = subprocess.run(["git", "archive", tag], cwd=root, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    shutil.rmtree(folder / MIGRATIONS)
    shutil.copytree(root / MIGRATIONS, folder / MIGRATIONS, ignore=shutil.ignore_patterns("__pycache__"))


def run(root: Path, tag: str, options: list[str]) -> int:
    """Install the packages of `tag` and run its tests; return the exit status."""
    with tempfile.TemporaryDirectory(prefix="parley-previous-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user for root
        checked_out(root, tag, folder)
        subprocess.run(["make", ".venv/dev"], cwd=folder, check=True)
        suites = [suite for suite in SUITES if (folder / suite).exists()]
        ignored = [f"--ignore={path}" for path in EXCLUDED]
        command = [str(folder / ".venv/bin/python"), "-m", "pytest", *suites, *ignored, *options]
        environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


def main() -> int:
    """Run the tests of the last release, or say that there is none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tag", help="the release to test instead of the last one")
    arguments, options = parser.parse_known_args()
    tag = arguments.tag or last_tag(ROOT)
    if tag is None:
        print("SKIPPED: no release is tagged, so there are no previous tests to run (see CONTRIBUTING.md, Release)")
        return 0
    print(f"The tests of {tag} on the schema of this tree", flush=True)
    return run(ROOT, tag, options)


if __name__ == "__main__":
    raise SystemExit(main())
