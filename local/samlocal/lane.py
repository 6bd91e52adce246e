"""The comparison: each side on new data of its own, the same events in the same order."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from local import wiring
from local.samlocal import derived, sam, table
from local.samlocal.engine import Engine
from local.samlocal.journey import UPLOAD, Journey, Step, read_steps
from local.samlocal.masking import difference, portrait
from local.samlocal.process import ProcessFailed, tail
from local.samlocal.relay import Doors
from local.samlocal.sam import SamLocal
from local.samlocal.stack import OwnStack
from local.samlocal.table import Row
from local.template.load import load

_INGEST_S, _PAUSE_S = 30.0, 0.2


@dataclass(frozen=True)
class Seen:
    """What one side answered: its status, the whole as comparable text, and what was logged."""

    status: str
    portrait: str
    log: str = ""


async def run(engine: Engine, *, root: Path) -> list[Row]:
    """Compare every event of the checkout `root`, printing each as it is known. Raises a group of `ProcessFailed`."""
    steps = read_steps(root / "events")
    functions = functions_by_folder(root / "template.yaml")
    with TemporaryDirectory(prefix="parley-sam-local-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        print(f"Building for {engine.architecture}, and asking `parley invoke` …", flush=True)
        async with asyncio.TaskGroup() as tasks:
            building = tasks.create_task(sam.build(root, folder / "built", architecture=engine.architecture))
            expecting = tasks.create_task(_ask_parley(steps, functions, data=folder / "parley", root=root))
        print(table.heading(), flush=True)
        async with OwnStack.started(folder / "sam", root=root) as stack:
            resources = partial(references, root / "template.yaml")
            return await _compare(
                steps, functions, expecting.result(), engine=engine, stack=stack, build=building.result(), resources=resources
            )


def functions_by_folder(template: Path) -> dict[str, str]:
    """Return the functions' names by the folder under functions/, after which their events are named."""
    return {function.handler.split(".")[1]: name for name, function in load(template, overrides={}).functions.items()}


def references(template: Path, aws_url: str) -> dict[str, str]:
    """Return what `Ref` gives for queues and buckets of services at this address."""
    stack = load(template, overrides={}, queues_url=aws_url)
    return {name: queue.url for name, queue in stack.queues.items()} | {name: bucket.name for name, bucket in stack.buckets.items()}


async def _ask_parley(steps: list[Step], functions: Mapping[str, str], *, data: Path, root: Path) -> list[Seen]:
    journey, seen = Journey(), []
    async with OwnStack.started(data, root=root) as stack:
        for step in steps:
            answer = await stack.invoke(functions[step.folder], journey.fill(step))
            journey.learn(step, answer)
            seen.append(Seen(answer.status, portrait(answer, journey.known)))
            if step.event == UPLOAD:
                await ingested(steps, functions, stack, journey)
    return seen


async def _compare(
    steps: list[Step],
    functions: Mapping[str, str],
    expected: list[Seen],
    *,
    engine: Engine,
    stack: OwnStack,
    build: Path,
    resources: Callable[[str], dict[str, str]],
) -> list[Row]:
    journey, rows = Journey(), []
    async with Doors.opened(engine.host_address, [stack.database_port, stack.aws_port, stack.port]) as doors:
        aws_url = f"http://{doors.host}:{doors.ports[stack.aws_port]}"
        derived.derive(
            build,
            # `sam local` takes what is named so for the value of the resource.
            parameters=_parameters(engine, stack, doors) | resources(aws_url),
            environment={
                "AWS_ENDPOINT_URL": aws_url,
                "AWS_ENDPOINT_URL_LAMBDA": f"http://{doors.host}:{doors.ports[stack.port]}/_local/lambda",
            },
            pgpass=(stack.data / "pgpass").read_text(encoding="utf-8"),
        )
        for step, parley in zip(steps, expected, strict=True):
            began = time.monotonic()
            found = await ask_sam(SamLocal(build), functions[step.folder], step, journey)
            rows.append(compared(step, parley, found, time.monotonic() - began))
            print(table.line(rows[-1]), flush=True)
            if step.event == UPLOAD:
                await ingested(steps, functions, stack, journey)
    return rows


async def ingested(steps: list[Step], functions: Mapping[str, str], stack: OwnStack, journey: Journey) -> None:
    """Wait until the stack has read the document, for half a minute at most: no later answer shall depend on how fast that went."""
    (look,) = (step for step in steps if step.event == "documents_get")
    ends = time.monotonic() + _INGEST_S
    while time.monotonic() < ends:
        answer = await stack.invoke(functions[look.folder], journey.fill(look))
        if '"ready"' in answer.body:
            return
        await asyncio.sleep(_PAUSE_S)


async def ask_sam(sam_local: SamLocal, function: str, step: Step, journey: Journey) -> Seen:
    """Return what `sam local` answers to a step; no answer is an outcome too."""
    try:
        answer, log = await sam_local.invoke(function, journey.fill(step))
    except ProcessFailed as error:
        return Seen("none", str(error))
    journey.learn(step, answer)
    return Seen(answer.status, portrait(answer, journey.known), log)


def _parameters(engine: Engine, stack: OwnStack, doors: Doors) -> dict[str, str]:
    return {
        "Architecture": engine.architecture,
        "DatabaseHost": doors.host,
        "DatabasePort": str(doors.ports[stack.database_port]),
        "DatabaseName": "parley",
        "DatabaseAuth": "libpq",
        "DatabaseTls": "disable",
        "JwksUrl": f"http://{doors.host}:{doors.ports[stack.port]}/.well-known/jwks.json",
        **wiring.CHOICES,
    }


def compared(step: Step, parley: Seen, found: Seen, seconds: float) -> Row:
    """Return the outcome of a step; where it differs, the end of the container's log tells why."""
    differing = difference(parley.portrait, found.portrait)
    if differing and found.log:
        differing += f"\nlogged by sam local:\n{tail(found.log)}"
    return Row(step.title, parley.status, found.status, differing, seconds)
