"""The comparison: run the same events in the same order on both sides, each with its own new data, and print a table."""

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
from local.sam_comparison.scenario import ScenarioState, ScenarioStep
from local.template.load import load


@dataclass(frozen=True)
class ComparedStep:
    """The results of one step on both sides. `difference` is empty if they are the same; `seconds` is the duration of `sam local`."""

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
    """Return the row and, below it, the indented difference if there is one."""
    verdict = "same" if row.is_same else "DIFFERENT"
    text = f"{row.title:<32}{row.parley_status:>8}{row.sam_status:>11}  {verdict:<10}{row.seconds:>8.1f}"
    return text if row.is_same else "\n".join([text, *(f"    {part}" for part in row.difference.splitlines())])


def table_summary(rows: Sequence[ComparedStep]) -> str:
    same = sum(row.is_same for row in rows)
    rest = f", {len(rows) - same} different" if same < len(rows) else ""
    return f"{len(rows)} calls: {same} same{rest}"


@dataclass(frozen=True)
class ObservedAnswer:
    """The answer of one side: status, comparable text and log."""

    status: str
    comparable: str
    log: str = ""


async def run_comparison(engine: ContainerEngine, steps: list[ScenarioStep], *, root: Path) -> list[ComparedStep]:
    """Compare the steps on the checkout `root` and print each row once it is known. Raises an exception group of `ProcessFailed`."""
    functions = functions_by_folder(root / "template.yaml")
    with TemporaryDirectory(prefix="parley-sam-local-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        print(f"Building for {engine.architecture} and running the events by `parley invoke` …", flush=True)
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
    """Return the functions' names by their folders below functions/, which are the prefixes of the event files."""
    return {function.handler.split(".")[1]: name for name, function in load(template, overrides={}).functions.items()}


def resource_references(template: Path, queues_url: str) -> dict[str, str]:
    """Return the values of `Ref` for queues, whose addresses begin with `queues_url`, and for buckets."""
    stack = load(template, overrides={}, queues_url=queues_url)
    return {name: queue.url for name, queue in stack.queues.items()} | {name: bucket.name for name, bucket in stack.buckets.items()}


async def _invoke_by_parley(steps: list[ScenarioStep], functions: Mapping[str, str], *, data: Path, root: Path) -> list[ObservedAnswer]:
    state = ScenarioState()
    observed: list[ObservedAnswer] = []
    async with ComparisonStack.started(data, root=root) as stack:
        for step in steps:
            await _wait_for_jobs(stack, step)
            answer = await stack.invoke(functions[step.folder], state.fill(step))
            state.learn(step, answer)
            observed.append(ObservedAnswer(answer.status, comparable_text(answer, state.known)))
    return observed


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
    state = ScenarioState()
    rows: list[ComparedStep] = []
    ports = [stack.database_port, stack.aws_port, stack.queues_port, stack.port]
    async with ForwardedPorts.opened(engine.host_address, ports) as forwarded:
        queues_url = f"http://{forwarded.host}:{forwarded.ports[stack.queues_port]}"
        sam_cli.derive_template(
            build,
            # If a parameter has the name of a resource, `sam local` uses its value for `Ref` to that resource.
            parameters=_container_parameters(engine, stack, forwarded) | resources(queues_url),
            environment={
                "AWS_ENDPOINT_URL": f"http://{forwarded.host}:{forwarded.ports[stack.aws_port]}",
                "AWS_ENDPOINT_URL_SQS": queues_url,
                **stack.aws_credentials.environment,
                "AWS_ENDPOINT_URL_LAMBDA": f"http://{forwarded.host}:{forwarded.ports[stack.port]}/_local/lambda",
            },
            pgpass=(stack.data / "pgpass").read_text(encoding="utf-8"),
        )
        for step, parley in zip(steps, expected, strict=True):
            await _wait_for_jobs(stack, step)
            began = time.monotonic()
            observed = await invoke_by_sam(SamLocal(build), functions[step.folder], step, state)
            rows.append(compare_step(step, parley, observed, time.monotonic() - began))
            print(table_line(rows[-1]), flush=True)
    return rows


async def _wait_for_jobs(stack: ComparisonStack, step: ScenarioStep) -> None:
    # Titles are made after a turn, and facts and summaries 15 seconds later; the conversation's routes return them.
    await stack.wait_until_idle(delayed="Memory" if step.folder == "conversation" else "")


async def invoke_by_sam(sam_local: SamLocal, function: str, step: ScenarioStep, state: ScenarioState) -> ObservedAnswer:
    """Run a step with `sam local`. If the call ends without an answer, the status is `none`."""
    try:
        answer, log = await sam_local.invoke(function, state.fill(step))
    except ProcessFailed as error:
        return ObservedAnswer("none", str(error))
    state.learn(step, answer)
    return ObservedAnswer(answer.status, comparable_text(answer, state.known), log)


def _container_parameters(engine: ContainerEngine, stack: ComparisonStack, forwarded: ForwardedPorts) -> dict[str, str]:
    return {
        "Architecture": engine.architecture,
        "DatabaseMode": "Direct",
        "DatabaseHost": forwarded.host,
        "DatabasePort": str(forwarded.ports[stack.database_port]),
        "DatabaseName": "parley",
        "DatabaseAuth": "libpq",
        "DatabaseTls": "disable",
        "JwksUrl": f"http://{forwarded.host}:{forwarded.ports[stack.port]}/.well-known/jwks.json",
        "PageUploads": f"http://127.0.0.1:{stack.aws_port}",
        **parameters.passkey_parameters(stack.port),
        **parameters.LOCAL_PARAMETERS,
    }


def compare_step(step: ScenarioStep, parley: ObservedAnswer, sam: ObservedAnswer, seconds: float) -> ComparedStep:
    """Compare the answers of both sides. If they differ, the difference ends with the last lines of the container's log."""
    diff = difference(parley.comparable, sam.comparable)
    if diff and sam.log:
        diff += f"\nlogged by sam local:\n{last_lines(sam.log)}"
    return ComparedStep(step.title, parley.status, sam.status, diff, seconds)
