"""Commands with a time limit."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from local.sam_comparison.process import ProcessFailed, run_command
from local.sam_comparison.sam_cli import sam_environment


def run(code, *, limit_s=120.0):
    return asyncio.run(run_command(sys.executable, "-c", code, cwd=Path("/"), environment=dict(os.environ), limit_s=limit_s))


def test_both_outputs_come_apart():
    assert run("import sys; print('out'); print('err', file=sys.stderr)") == ("out\n", "err\n")


def test_a_command_that_fails_tells_its_last_lines():
    with pytest.raises(ProcessFailed, match="line 99$") as failed:
        run("import sys; [print('line', n, file=sys.stderr) for n in range(100)]; sys.exit(4)")

    assert "line 80" not in str(failed.value)


def test_a_command_without_an_end_is_ended():
    began = time.monotonic()

    with pytest.raises(ProcessFailed, match="still running after 0 s"):
        run("import time; time.sleep(60)", limit_s=0.3)
    assert time.monotonic() - began < 10


def test_sam_sees_no_account_of_the_developers(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("PIP_INDEX_URL", "https://pypi.example/simple")

    assert not {"AWS_ACCESS_KEY_ID", "AWS_PROFILE"} & set(sam_environment())
    assert sam_environment()["PIP_INDEX_URL"] == "https://pypi.example/simple"
