"""Finding a container engine, and the message if there is none."""

import os
import subprocess
import sys

import pytest

from local.sam_comparison.container_engine import ContainerEngineMissing, find_container_engine, host_address

NOBODY_HOME = """#!/bin/sh
echo "Cannot connect to the Docker daemon" >&2
exit 1
"""
AT_HOME = """#!/bin/sh
case "$1 $2" in
  "network inspect") echo '[{"IPAM": {"Config": [{"Subnet": "172.20.0.0/16", "Gateway": "172.20.0.9"}]}}]' ;;
  "image inspect") test -e "$0.pulled" ;;
  "pull --quiet") touch "$0.pulled" ;;
esac
"""


def put(folder, script):
    (folder / "docker").write_text(script)
    (folder / "docker").chmod(0o755)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder that is the only one on the PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}")
    return tmp_path


def lane(*arguments, path):
    command = [sys.executable, "-m", "local.sam_comparison", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "PATH": str(path)})


@pytest.mark.parametrize(("arguments", "status"), [((), 0), (("--strict",), 2)])
def test_without_an_engine_the_lane_says_that_it_was_skipped(programs, arguments, status):
    skipped = lane(*arguments, path=programs)

    assert (skipped.returncode, skipped.stdout) == (status, "")
    assert skipped.stderr == "SKIPPED: `sam local` cannot run containers, so nothing was compared: there is no `docker` command\n"


def test_an_engine_that_does_not_run_is_told_apart(programs, monkeypatch):
    put(programs, NOBODY_HOME)

    with pytest.raises(ContainerEngineMissing, match=r"`docker version` failed: Cannot connect to the Docker daemon"):
        find_container_engine()


def test_an_image_that_is_not_there_is_pulled(programs, monkeypatch, capsys):
    put(programs, AT_HOME.replace("touch", "/usr/bin/touch"))

    engine = find_container_engine()

    assert engine.host_address == "172.20.0.9"
    assert engine.architecture in ("arm64", "x86_64")
    assert capsys.readouterr().out.startswith("Pulling public.ecr.aws/lambda/python:3.13-")


def test_an_image_that_cannot_be_had_is_no_engine(programs):
    put(programs, AT_HOME.replace("touch", "false"))

    with pytest.raises(ContainerEngineMissing, match="pull --quiet public.ecr.aws"):
        find_container_engine()


def test_an_untold_gateway_is_the_networks_first_address():
    assert host_address([{"IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}}]) == "172.17.0.1"
