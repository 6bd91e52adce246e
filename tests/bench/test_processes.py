import os
import subprocess
import sys
import time

import pytest

from bench.harness import processes
from tests.support.time_limits import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_a_tree_holds_children_and_theirs():
    with subprocess.Popen(["sh", "-c", "sleep 30; true"], stdout=subprocess.DEVNULL) as shell:
        time.sleep(0.2)
        found = processes.tree(os.getpid())
        under = processes.tree(shell.pid)
        for pid in reversed(under):
            os.kill(pid, 9)

    assert len(under) == 2
    assert set(under) < set(found)


def test_processor_time_and_memory_are_read():
    sum(range(10**6))

    assert processes.cpu_ms([os.getpid()]) > 0
    assert processes.peak_mb(os.getpid()) > 1


def test_a_process_that_is_gone_takes_nothing():
    gone = subprocess.Popen(["true"])
    gone.wait()

    assert processes.cpu_ms([gone.pid]) is None
    assert processes.peak_mb(gone.pid) is None
    assert processes.environment(gone.pid) == {}


def test_hogs_compute_until_the_end_of_the_block():
    with processes.running_hogs(2) as pids:
        have_computed = wait_until(lambda: all((processes.cpu_ms([pid]) or 0) > 50 for pid in pids))

    assert have_computed
    assert processes.cpu_ms(pids) is None
