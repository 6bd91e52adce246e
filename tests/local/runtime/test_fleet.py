"""A fleet with real workers, and the order in which they start."""

import asyncio
from pathlib import Path

from local.runtime.fleet import Fleet
from local.runtime.launch import launch_from_sources
from local.template.stack import Function
from tests.local.runtime.test_pool import RecordingLog

SLOW_TO_IMPORT = "import time\ntime.sleep(0.3)\nprint('imported', {name!r})\ndef handler(event, context):\n    return None\n"


def function(folder: Path, name: str) -> Function:
    folder /= name
    folder.mkdir()
    (folder / "app.py").write_text(SLOW_TO_IMPORT.format(name=name))
    return Function(name=name, handler="app.handler", root=folder, folder=folder)


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
