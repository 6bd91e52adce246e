"""Change the code in one place at a time and look whether a test fails: `make mutation ONLY="parley/metering"`.

Python is changed by Cosmic Ray's operators, SQL by our own (`sql_operators.py`). For each change, the cheapest tests that run the
changed line decide (`line_map.py`), in processes that `worker.py` forks. Except in a sample, a change that they do not notice is shown
to all tests near the module. It survives if these do not notice it either, unless `verdicts` argues that nobody could. Prints the
survivors and the score of each group of modules.
"""

import argparse
import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Literal

from tests.mutants.tree_copy import MutantError
from tests.mutation.line_map import LineMap
from tests.mutation.mutants import Mutant, draw, verdicts
from tests.mutation.scope import files_in_scope, group_of
from tests.mutation.worker import MutantJob, Outcome
from tests.mutation.worker_process import WorkerProcess, running_workers

# The end of pytest's output that explains why tests cannot run.
_SHOWN = 300

type Fate = Literal["killed", "survived", "untested", "equivalent", "unjudged"]


@dataclass(frozen=True)
class Judged:
    """A mutant, its fate, and the failed test, or the reason, that decided it."""

    mutant: Mutant
    fate: Fate
    reason: str = ""


class Judge:
    """Decides about mutants, several at a time. If it is thorough, all tests near the module are shown those that would survive."""

    def __init__(self, workers: list[WorkerProcess], line_map: LineMap, *, is_thorough: bool) -> None:
        self._line_map, self._argued, self._is_thorough = line_map, verdicts(), is_thorough
        self._pool = ThreadPoolExecutor(len(workers))
        self._free: SimpleQueue[WorkerProcess] = SimpleQueue()
        for worker in workers:
            self._free.put(worker)

    def judge(self, mutants: Iterable[Mutant]) -> Iterator[Judged]:
        """Yield each mutant with its fate, in order."""
        return self._pool.map(self._fate_of, mutants)

    def _fate_of(self, mutant: Mutant) -> Judged:
        if reason := self._argued.get(mutant.key):
            return Judged(mutant, "equivalent", reason)
        tests = self._line_map.tests_for(mutant.file, mutant.line)
        judged = self._shown_to(tests, mutant) if tests else Judged(mutant, "untested")
        others = self._line_map.other_tests_for(mutant.file, mutant.line, tests) if self._is_thorough else []
        return self._shown_to(others, mutant) if others and judged.fate in ("survived", "untested") else judged

    def _shown_to(self, tests: list[str], mutant: Mutant) -> Judged:
        outcome = self._run(MutantJob(tests, self._line_map.seconds_of(tests), {mutant.file: mutant.source}, stops=True))
        print(
            f"{outcome.cpu_s:5.1f} s {outcome.failed or outcome.signal or outcome.exit_code} {mutant.file}:{mutant.line} {mutant.operator}",
            file=sys.stderr,
        )
        if outcome.failed or outcome.signal:
            return Judged(mutant, "killed", (outcome.failed or [outcome.signal])[0])
        if outcome.exit_code == 0:
            return Judged(mutant, "survived")
        # The change may break the tests' own fixtures, or these tests cannot be run at all.
        is_sound = self._run(MutantJob(tests, self._line_map.seconds_of(tests))).exit_code == 0
        return Judged(mutant, "killed" if is_sound else "unjudged", outcome.output[-_SHOWN:])

    def false_alarms(self, judged: Iterable[Judged]) -> set[str]:
        """Return the tests that killed a mutant but fail on the code as it is, too."""
        killers = sorted({one.reason for one in judged if one.fate == "killed" and "::" in one.reason})
        jobs = [MutantJob(chosen, self._line_map.seconds_of(chosen)) for number in range(2) if (chosen := killers[number::2])]
        return {test for outcome in self._pool.map(self._run, jobs) for test in outcome.failed}

    def _run(self, job: MutantJob) -> Outcome:
        worker = self._free.get()
        try:
            return worker.run(job)
        finally:
            self._free.put(worker)


def score(fates: Iterable[Fate]) -> tuple[int, int]:
    """Return how many mutants are killed, and of how many. A mutant that no test runs counts as one that survives."""
    found = Counter(fates)
    return found["killed"], found["killed"] + found["survived"] + found["untested"]


def print_scores(judged: list[Judged]) -> None:
    """Print a line for each group of modules."""
    groups = defaultdict[str, list[Fate]](list)
    for one in judged:
        groups[group_of(one.mutant.file)].append(one.fate)
    for group, fates in (*sorted(groups.items()), ("all", [one.fate for one in judged])):
        killed, counted = score(fates)
        share = f"{killed / counted:.0%}" if counted else "-"
        others = ", ".join(f"{fates.count(fate)} {fate}" for fate in ("untested", "equivalent", "unjudged") if fate in fates)
        print(f"{share:>5} of {counted:4} killed  {group}{f' ({others})' if others else ''}")


def main(arguments: list[str]) -> int:
    """Judge the mutants of the files whose path contains one of the given parts. Return 1 if too few are killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.run", description=__doc__)
    parser.add_argument("only", nargs="*", help="parts of the paths of files to change; without any, all files in scope")
    parser.add_argument("--sample", type=int, help="judge only this number of mutants, drawn at random")
    parser.add_argument("--seed", type=int, help="repeat the draw of an earlier run")
    parser.add_argument(
        "--jobs", type=int, default=os.process_cpu_count() or 1, help="mutants to judge at a time (default: one per processor)"
    )
    parser.add_argument("--at-least", type=int, default=100, help="the percentage that must be killed (default: 100)")
    chosen = parser.parse_args(arguments)
    seed, began_s = random.randrange(10**6) if chosen.seed is None else chosen.seed, time.monotonic()
    with running_workers(chosen.jobs) as workers:
        mutants = draw(
            [file for file in files_in_scope() if any(part in file for part in chosen.only or [""])], count=chosen.sample, seed=seed
        )
        print(f"{len(mutants)} mutants (SEED={seed})", flush=True)
        for worker in workers:
            worker.wait_until_ready()
        judge = Judge(workers, LineMap.read(), is_thorough=chosen.sample is None)
        judged = list(_announced(judge.judge(mutants)))
        alarms = judge.false_alarms(judged)
    judged = [Judged(one.mutant, "unjudged", one.reason) if one.reason in alarms else one for one in judged]
    for test in alarms:
        print(f"{test} fails on the code as it is")
    print_scores(judged)
    print(f"{time.monotonic() - began_s:.0f} s; repeat this draw with SEED={seed}")
    killed, counted = score(one.fate for one in judged)
    return int(100 * killed < chosen.at_least * counted)


def _announced(judged: Iterable[Judged]) -> Iterator[Judged]:
    """Yield what was judged, and print the mutants that were not killed."""
    for one in judged:
        if one.fate in ("survived", "untested", "unjudged"):
            print(f"{one.fate}  {one.mutant}\n{one.reason}", flush=True)
        yield one


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except MutantError as error:
        sys.exit(str(error))
