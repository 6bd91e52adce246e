"""AWS's own `sam build` with the flag `--gradual`, and for a machine with another processor.

Functions of one line stand in for the code; the template is the real one.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.template.source import read_source
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the real templates, and with functions and layers that need no packages."""
    folder = tmp_path_factory.mktemp("sources")
    (folder / "template.yaml").write_text((ROOT / "template.yaml").read_text())
    (folder / "stacks").symlink_to(ROOT / "stacks")
    resources = read_source(ROOT / "template.yaml").content["Resources"].values()
    for resource in resources:
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            write(folder / properties["CodeUri"] / "app.py", "def handler(event, context):\n    return event\n")
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            write(folder / properties["ContentUri"] / "shared.py", "x = 1\n")
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_flag_publishes_versions_behind_an_alias(sources: Path, tmp_path: Path) -> None:
    """`tests/e2e/test_built.py` builds without the flag."""
    build(sources, tmp_path, "native", "--gradual")
    resources = read_source(tmp_path / "template.yaml").content["Resources"]
    functions = {name: one["Properties"] for name, one in resources.items() if one["Type"] == "AWS::Serverless::Function"}

    unpublished = {name for name, properties in functions.items() if properties.get("AutoPublishAlias") != "live"}
    assert unpublished == {"EmbedderFunction", "KeysFunction", "MigrateFunction", "ToolrunnerFunction"}
    assert (tmp_path / "AuthFunction" / "functions" / "auth" / "app.py").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the suffixes of extension modules are those of Linux")
def test_a_build_for_another_processor_has_its_packages(sources: Path, tmp_path: Path) -> None:
    """A deployment is for arm64 by default. `tests/e2e/test_built.py` builds for this machine."""
    own, other = platform.machine(), "x86_64" if platform.machine() == "aarch64" else "aarch64"
    shutil.copy(ROOT / "functions" / "migrate" / "requirements.txt", sources / "functions" / "migrate")
    try:
        build(sources, tmp_path, {"aarch64": "arm64"}.get(other, other))
    finally:
        (sources / "functions" / "migrate" / "requirements.txt").unlink()
    modules = [path.name for path in (tmp_path / "MigrateFunction").rglob("*.so")]

    assert any("sqlalchemy" in str(path) for path in (tmp_path / "MigrateFunction").iterdir())
    assert [name for name in modules if f"-{other}-" in name]
    assert [name for name in modules if f"-{own}-" in name] == []


def build(sources: Path, folder: Path, architecture: str, *flags: str) -> None:
    options = ("--template", str(sources / "template.yaml"), "--build-dir", str(folder), "--cache-dir", str(folder / "cache"))
    command = [sys.executable, "-m", "local.sam_build", architecture, *options, *flags]
    subprocess.run(command, cwd=sources, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)


@pytest.mark.parametrize(("arguments", "expected"), [([], False), (["GRADUAL=yes"], True)])
def test_make_passes_the_flag_on(arguments: list[str], expected: bool) -> None:
    planned = subprocess.run(["make", "--dry-run", "build", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert ("local.sam_build arm64 --gradual" in planned) is expected
