"""Where Python for arm64 comes from, and the sentence if it comes from nowhere."""

import platform
import sys
from pathlib import Path

import pytest

from local.runtime.launch import base_interpreter
from tests.emulation.python import NoPython, arm64_python


def test_a_machine_with_that_processor_uses_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")

    assert arm64_python(tmp_path) == (base_interpreter(),)


def test_a_machine_without_debians_programs_is_told_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NoPython, match="there is no `apt-get`"):
        arm64_python(tmp_path / "arm64")
    assert not (tmp_path / "arm64").exists()
