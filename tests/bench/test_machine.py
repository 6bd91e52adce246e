"""The state of the machine, which a benchmark waits for."""

import subprocess
import sys

from bench.harness import machine


def test_a_machine_with_a_busy_processor_is_not_idle() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        is_idle = machine.wait_until_idle(limit_s=0.6)
        busy.kill()
    assert not is_idle
