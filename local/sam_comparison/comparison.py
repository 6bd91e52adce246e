"""The comparison: both sides on new data of their own, the same events in the same order, and the table of the results."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from local import parameters
from local.sam_comparison import sam_cli
from local.sam_comparison.answers import comparable_text, difference
from local.sam_comparison.container_engine import ContainerEngine
from local.sam_comparison.parley_stack import ComparisonStack
from local.sam_comparison.port_forward import ForwardedPorts
from local.sam_comparison.process import ProcessFailed, last_lines
from local.sam_comparison.sam_cli import SamLocal
from local.sam_comparison.scenario import UPLOAD_EVENT, ScenarioState, ScenarioStep, read_steps
from local.template.load import load

_INGEST_S, _PAUSE_S = 30.0, 0.2


@dataclass(frozen=True)
class ComparedStep:
    """One step's outcome on both sides; `difference` is empty if they are the same, `seconds` are `sam local`'s."""

    title: str
    parley_status: str
    sam_status: str
    difference: str
    seconds: float

    @property
    def is_same(self) -> bool:
        return not self.difference


def table_heading() -> str:
    return f"{'event':<32}{'parley':>8}{'sam local':>11}  {'':<10}{'seconds':>8}"


def table_line(row: ComparedStep) -> str:
    """Return the row, and under it what differs."""
    verdict = "same" if row.is_same else "DIFFERENT"
    text = f"{row.title:<32}{row.parley_status:>8}{row.sam_status:>11}  {verdict:<10}{row.seconds:>8.1f}"
    return text if row.is_same else "\n".join([text, *(f"    {part}" for part in row.difference.splitlines())])


def table_summary(rows: Sequence[ComparedStep]) -> str:
    same = sum(row.is_same for row in rows)
    rest = f", {len(rows) - same} different" if same < len(rows) else ""
    return f"{len(rows)} calls: {same} same{rest}"


@dataclass(frozen=True)
class ObservedAnswer:
    """What one side answered: its status, the whole as comparable text, and what was logged."""

    status: str
    comparable: str
    log: str = ""


async def run_comparison(engine: ContainerEngine, *, root: Path) -> list[ComparedStep]:
    """Compare every event of the checkout `root`, printing each as it is known. Raises a group of `ProcessFailed`."""
    steps = read_steps(root / "events")
    functions = functions_by_folder(root / "template.yaml")
    with TemporaryDirectory(prefix="parley-sam-local-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        print(f"Building for {engine.architecture}, and asking `parley invoke` …", flush=True)
        async with asyncio.TaskGroup() as tasks:
            building = tasks.create_task(sam_cli.build_stack(root, folder / "built", architecture=engine.architecture))
            expecting = tasks.create_task(_invoke_by_parley(steps, functions, data=folder / "parley", root=root))
        print(table_heading(), flush=True)
        async with ComparisonStack.started(folder / "sam", root=root) as stack:
            resources = partial(resource_references, root / "template.yaml")
            return await _compare(
                steps, functions, expecting.result(), engine=engine, stack=stack, build=building.result(), resources=resources
            )


def functions_by_folder(template: Path) -> dict[str, str]:
    """Return the functions' names by the folder under functions/, after which their events are named."""
    return {function.handler.split(".")[1]: name for name, function in load(template, overrides={}).functions.items()}


def resource_references(template: Path, aws_url: str) -> dict[str, str]:
    """Return what `Ref` gives for queues and buckets of services at this address."""
    stack = load(template, overrides={}, queues_url=aws_url)
    return {name: queue.url for name, queue in stack.queues.items()} | {name: bucket.name for name, bucket in stack.buckets.items()}


async def _invoke_by_parley(steps: list[ScenarioStep], functions: Mapping[str, str], *, data: Path, root: Path) -> list[ObservedAnswer]:
    state, seen = ScenarioState(), []
    async with ComparisonStack.started(data, root=root) as stack:
        for step in steps:
            answer = await stack.invoke(functions[step.folder], state.fill(step))
            state.learn(step, answer)
            seen.append(ObservedAnswer(answer.status, comparable_text(answer, state.known)))
            if step.event == UPLOAD_EVENT:
                await wait_for_ingestion(steps, functions, stack, state)
    return seen


async def _compare(
    steps: list[ScenarioStep],
    functions: Mapping[str, str],
    expected: list[ObservedAnswer],
    *,
    engine: ContainerEngine,
    stack: ComparisonStack,
    build: Path,
    resources: Callable[[str], dict[str, str]],
) -> list[ComparedStep]:
    state, rows = ScenarioState(), []
    async with ForwardedPorts.opened(engine.host_address, [stack.database_port, stack.aws_port, stack.port]) as forwarded:
        aws_url = f"http://{forwarded.host}:{forwarded.ports[stack.aws_port]}"
        sam_cli.derive_template(
            build,
            # `sam local` takes what is named so for the value of the resource.
            parameters=_container_parameters(engine, stack, forwarded) | resources(aws_url),
            environment={
                "AWS_ENDPOINT_URL": aws_url,
                "AWS_ENDPOINT_URL_LAMBDA": f"http://{forwarded.host}:{forwarded.ports[stack.port]}/_local/lambda",
            },
            pgpass=(stack.data / "pgpass").read_text(encoding="utf-8"),
        )
        for step, parley in zip(steps, expected, strict=True):
            began = time.monotonic()
            found = await invoke_by_sam(SamLocal(build), functions[step.folder], step, state)
            rows.append(compare_step(step, parley, found, time.monotonic() - began))
            print(table_line(rows[-1]), flush=True)
            if step.event == UPLOAD_EVENT:
                await wait_for_ingestion(steps, functions, stack, state)
    return rows


async def wait_for_ingestion(steps: list[ScenarioStep], functions: Mapping[str, str], stack: ComparisonStack, state: ScenarioState) -> None:
    """Wait until the stack has read the document, for half a minute at most: no later answer shall depend on how fast that went."""
    (look,) = (step for step in steps if step.event == "documents_get")
    ends = time.monotonic() + _INGEST_S
    while time.monotonic() < ends:
        answer = await stack.invoke(functions[look.folder], state.fill(look))
        if '"ready"' in answer.body:
            return
        await asyncio.sleep(_PAUSE_S)


async def invoke_by_sam(sam_local: SamLocal, function: str, step: ScenarioStep, state: ScenarioState) -> ObservedAnswer:
    """Return what `sam local` answers to a step; no answer is an outcome too."""
    try:
        answer, log = await sam_local.invoke(function, state.fill(step))
    except ProcessFailed as error:
        return ObservedAnswer("none", str(error))
    state.learn(step, answer)
    return ObservedAnswer(answer.status, comparable_text(answer, state.known), log)


def _container_parameters(engine: ContainerEngine, stack: ComparisonStack, forwarded: ForwardedPorts) -> dict[str, str]:
    return {
        "Architecture": engine.architecture,
        "DatabaseHost": forwarded.host,
        "DatabasePort": str(forwarded.ports[stack.database_port]),
        "DatabaseName": "parley",
        "DatabaseAuth": "libpq",
        "DatabaseTls": "disable",
        "JwksUrl": f"http://{forwarded.host}:{forwarded.ports[stack.port]}/.well-known/jwks.json",
        **parameters.LOCAL_PARAMETERS,
    }


def compare_step(step: ScenarioStep, parley: ObservedAnswer, found: ObservedAnswer, seconds: float) -> ComparedStep:
    """Return the outcome of a step; where it differs, the end of the container's log tells why."""
    differing = difference(parley.comparable, found.comparable)
    if differing and found.log:
        differing += f"\nlogged by sam local:\n{last_lines(found.log)}"
    return ComparedStep(step.title, parley.status, found.status, differing, seconds)
