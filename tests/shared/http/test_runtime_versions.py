"""Streaming works with the versions of AWS's runtime client that a Lambda runtime may have; the newest is installed for all tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import uv

ROOT = Path(__file__).parents[3]
PINS = sorted((ROOT / "tests" / "data" / "runtimes").glob("*.txt"))
VERSION = "import importlib.metadata as m; print(m.version('awslambdaric'), end='')"


@pytest.mark.skipif(sys.platform != "linux", reason="AWS's runtime client is built for Linux")
@pytest.mark.parametrize("pins", PINS, ids=lambda path: path.stem)
def test_responses_stream_with_an_older_runtime_client(pins, tmp_path):
    install = [uv.find_uv_bin(), "pip", "install", "--quiet", "--python", sys.executable, "--no-deps", "--require-hashes"]
    subprocess.run([*install, "--target", str(tmp_path / "runtime"), "-r", str(pins)], check=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "runtime"), os.environ.get("PYTHONPATH", "")])}
    found = subprocess.run([sys.executable, "-c", VERSION], env=environment, capture_output=True, text=True, check=True).stdout
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'tests'}"]
    ran = subprocess.run(
        [*command, "tests/shared/http/test_streaming.py"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert found == pins.stem.removeprefix("awslambdaric-")
    assert ran.returncode == 0, ran.stdout
