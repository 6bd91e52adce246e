"""A fleet with real workers, and the order in which they start."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

from local.runtime.fleet import Fleet
from local.runtime.launch import launch_from_sources
from local.runtime.outcome import HandlerResult, Outcome
from local.runtime.processor_share import BULK
from local.template.stack import BULK_NICENESS, Function
from tests.local.runtime.test_pool import RecordingLog
from tests.support.time_limits import HANG_S

SLOW_TO_IMPORT = "import time\ntime.sleep(0.3)\nprint('imported', {name!r})\ndef handler(event, context):\n    return None\n"

PRIORITY = "import os, time\ndef handler(event, context):\n    time.sleep(event)\n    return os.getpriority(os.PRIO_PROCESS, 0)\n"


def function(folder: Path, name: str, code: str = SLOW_TO_IMPORT) -> Function:
    folder /= name
    folder.mkdir()
    (folder / "app.py").write_text(code.format(name=name))
    # A worker of low priority may take long to start on a busy machine.
    return Function(name=name, handler="app.handler", root=folder, folder=folder, timeout_s=HANG_S)


async def imports_of(fleet: Fleet, log: RecordingLog, edited: str) -> list[str]:
    """Return the order in which the functions are imported if one is edited right after the start."""
    try:
        starting = asyncio.create_task(fleet.warm(list(fleet.pools)))
        await asyncio.sleep(0)
        await fleet.warm([edited])
        await starting
        await asyncio.gather(*(pool.ready() for pool in fleet.pools.values()))
        return [line.split()[-1].strip("'") for line in log.lines if "imported" in line]
    finally:
        await fleet.stop()


def test_what_was_edited_last_starts_before_what_still_waits(tmp_path: Path) -> None:
    log, names = RecordingLog(), [f"number{number}" for number in range(8)]
    functions = {name: function(tmp_path, name) for name in names}
    fleet = Fleet(functions, launch_spec_of=launch_from_sources, extra_environment={}, log=log, pool_size=1)

    imported = asyncio.run(imports_of(fleet, log, "number7"))

    assert sorted(imported) == names
    assert imported.index("number7") < imported.index("number6")


def niceness(outcome: Outcome) -> int:
    """Return the niceness that a worker has reported, relative to this process's."""
    assert isinstance(outcome, HandlerResult), outcome
    return int(outcome.payload) - os.getpriority(os.PRIO_PROCESS, 0)


async def priorities(fleet: Fleet) -> list[int]:
    """Return the niceness of a function that a bulk function invokes, of the same one invoked by another, and the number of workers."""
    try:
        bulk = fleet.submit("bulk", b"1", trace_id="Root=1")
        invoked = [fleet.submit("plain", b"0", trace_id=trace_id) for trace_id in ("Root=1", "Root=2")]
        assert [invocation.user for invocation in invoked] == [BULK, ""]
        found = [await invocation.outcome for invocation in invoked]
        await bulk.outcome
        return [*map(niceness, found), fleet.pools["plain"].states().total()]
    finally:
        await fleet.stop()


def test_what_a_bulk_function_invokes_gives_way_to_users_requests(tmp_path: Path) -> None:
    functions = {name: function(tmp_path, name, PRIORITY) for name in ("bulk", "plain")}
    functions["bulk"] = replace(functions["bulk"], niceness=BULK_NICENESS)
    fleet = Fleet(functions, launch_spec_of=launch_from_sources, extra_environment={}, log=RecordingLog(), pool_size=2)

    assert asyncio.run(priorities(fleet)) == [5, 0, 2]
