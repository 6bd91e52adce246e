"""Pins: every group of pyproject.toml is compiled, with hashes and without registry addresses."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("requirements/*.txt"), *ROOT.glob("functions/*/requirements.txt"), *ROOT.glob("layers/*/requirements.txt")])


@pytest.mark.timeout(1800)
def test_the_pins_match_the_dependency_groups():
    checked = subprocess.run([sys.executable, "requirements/compile.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_pin_has_hashes_and_no_file_names_a_registry(path):
    text = path.read_text()
    pins = re.split(r"^(?=[a-zA-Z0-9])", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)[1:]

    assert all("==" in pin and "--hash=sha256:" in pin for pin in pins)
    assert "://" not in text


def test_functions_and_layer_run_the_same_versions_as_the_laptop():
    pinned = {}
    for path in FILES:
        if path.stem in {"checkov", "mutation", "security"}:  # programs in environments of their own
            continue
        for name, version in re.findall(r"^([a-zA-Z0-9._-]+)==(\S+)", path.read_text(), re.MULTILINE):
            pinned.setdefault(name, set()).add(version)

    assert {name: versions for name, versions in pinned.items() if len(versions) > 1} == {}
