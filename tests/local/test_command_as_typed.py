"""The command that messages suggest to the developer."""

from pathlib import Path

import pytest

from local.console import command_as_typed


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `parley` script in the virtual environment of the current folder, which is not on the PATH."""
    script = tmp_path / ".venv" / "bin" / "parley"
    script.parent.mkdir(parents=True)
    script.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    return script


def test_a_relative_path_is_kept_whatever_the_path_says(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(script.parent))

    assert command_as_typed(".venv/bin/parley") == ".venv/bin/parley"


def test_a_name_that_the_shell_found_is_the_name(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(script.parent))

    assert command_as_typed(str(script)) == "parley"


def test_a_path_below_the_current_folder_is_shortened(script: Path) -> None:
    assert command_as_typed(str(script)) == ".venv/bin/parley"


def test_a_path_elsewhere_is_told_in_full(script: Path) -> None:
    assert command_as_typed("/opt/my apps/parley") == "'/opt/my apps/parley'"


def test_started_as_a_module_it_is_the_script_beside_the_interpreter(script: Path) -> None:
    assert command_as_typed("/somewhere/local/__main__.py", executable=str(script.with_name("python"))) == ".venv/bin/parley"
