import signal
import subprocess
import sys
import time

import pytest

from bench.harness import servers
from bench.harness.servers import ServerFailed, call, free_port, running_server

WEB = [sys.executable, "-m", "bench.harness.fake_model", "--port"]


def test_a_server_answers_within_the_block_and_is_gone_after_it(tmp_path):
    port = free_port()
    with running_server([*WEB, str(port)], port=port, log=tmp_path / "log") as server:
        status, answer = call(server, "POST", "/v1/chat/completions", {"stream": False})

    assert (status, answer["object"]) == (200, "chat.completion")
    with pytest.raises(ConnectionRefusedError):
        call(server, "GET", "/")


def test_a_server_that_cannot_start_says_why(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('no port for me')"]

    with pytest.raises(ServerFailed, match="no port for me"), running_server(command, port=free_port(), log=tmp_path / "log"):
        pass


def test_a_failed_measurement_keeps_the_log_of_its_server(tmp_path, monkeypatch):
    port = free_port()
    command = [
        sys.executable,
        "-c",
        "print('why it failed', flush=True); from bench.harness.fake_model import main; main()",
        "--port",
        str(port),
    ]
    monkeypatch.setattr(servers, "FAILED_LOGS", tmp_path / "failed")

    with pytest.raises(ServerFailed) as failure, running_server(command, port=port, log=tmp_path / "log"):
        raise ServerFailed("7 of 9 requests failed")

    assert "why it failed" in (tmp_path / "failed/log").read_text()
    assert str(tmp_path / "failed/log") in failure.value.__notes__[0]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_a_server_dies_with_a_measurement_that_is_killed(tmp_path):
    port = free_port()
    program = f"""
import time
from pathlib import Path
from bench.harness.servers import running_server
with running_server({[*WEB, str(port)]!r}, port={port}, log=Path({str(tmp_path / "log")!r})) as server:
    print(server.pid, flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as measurement:
        pid = int(measurement.stdout.readline())
        measurement.send_signal(signal.SIGKILL)

    assert is_gone_soon(pid)


def is_gone_soon(pid: int) -> bool:
    for _ in range(100):
        if subprocess.run(["kill", "-0", str(pid)], stderr=subprocess.DEVNULL, check=False).returncode:
            return True
        time.sleep(0.05)
    return False
