"""Change the code in one place at a time and look whether a test fails: `make mutation ONLY="parley/metering"`.

Python is changed by Cosmic Ray's operators, SQL by our own (`sql_operators.py`). For each change, the quickest test files that run the
changed line decide (`coverage.json`). A change that they do not notice survives, unless `verdicts.toml` argues that nobody could notice
it. Prints the survivors and the score of each module.
"""

import argparse
import random
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from tests.mutants.run import Copy, MutantError
from tests.mutation.coverage_map import CoverageMap, files_in_scope
from tests.mutation.mutants import Mutant, mutants_of, verdicts

type Fate = Literal["killed", "survived", "equivalent", "untested"]

# Beyond this time, a change probably loops: the tests of one change are chosen to take less.
_MAX_S = 60.0
_TIMEOUT_S = 240.0


def fate_of(mutant: Mutant, copy: Copy, coverage: CoverageMap) -> Fate:
    """Run the tests of a changed line in a copy of the tree, which is left unchanged."""
    tests = coverage.tests_for(mutant.file, mutant.line, max_s=_MAX_S)
    if not tests:
        return "untested"
    path = copy.root / mutant.file
    original = path.read_text()
    path.write_text(mutant.source)
    try:
        is_green = copy.pytest(tests, "-x", "--timeout=100", timeout_s=_TIMEOUT_S).returncode == 0
    except subprocess.TimeoutExpired:
        return "killed"
    finally:
        path.write_text(original)
    return "survived" if is_green else "killed"


def print_scores(fates: dict[Mutant, Fate]) -> int:
    """Print a line for each module. Return 1 if a mutant survived."""
    modules = defaultdict[str, list[Fate]](list)
    for mutant, fate in fates.items():
        modules[mutant.file].append(fate)
    for module, found in sorted(modules.items()):
        counted = [fate for fate in found if fate in ("killed", "survived")]
        share = f"{found.count('killed') / len(counted):.0%}" if counted else "-"
        others = f"{found.count('equivalent'):3} equivalent, {found.count('untested'):3} untested"
        print(f"{share:>5} of {len(counted):4} killed, {others}  {module}")
    return int("survived" in fates.values())


def judge(mutants: list[Mutant]) -> dict[Mutant, Fate]:
    """Return the fate of each mutant, and print those that survive."""
    coverage, argued, fates = CoverageMap.read(), verdicts(), dict[Mutant, Fate]()
    with TemporaryDirectory(prefix="parley-mutation-") as folder:
        copy = Copy(Path(folder))
        copy.fill()
        for number, mutant in enumerate(mutants, 1):
            began_s = time.monotonic()
            fates[mutant] = "equivalent" if mutant.key in argued else fate_of(mutant, copy, coverage)
            if fates[mutant] in ("survived", "untested"):
                print(f"{fates[mutant]}  {mutant}", flush=True)
            print(f"{number}/{len(mutants)} {fates[mutant]} in {time.monotonic() - began_s:.1f} s", file=sys.stderr, flush=True)
    return fates


def main(arguments: list[str]) -> int:
    """Judge the mutants of the files whose path contains one of the given parts."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.run", description=__doc__)
    parser.add_argument("only", nargs="*", help="parts of the paths of files to change; without any, all files in scope")
    parser.add_argument("--sample", type=int, help="judge only this number of mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=None, help="repeat the draw of an earlier run")
    chosen = parser.parse_args(arguments)
    files = [file for file in files_in_scope() if any(part in file for part in chosen.only or [""])]
    mutants = mutants_of(files)
    if chosen.sample is not None:
        seed = random.randrange(10**6) if chosen.seed is None else chosen.seed
        print(f"{chosen.sample} of {len(mutants)} mutants, --seed {seed}")
        mutants = random.Random(seed).sample(mutants, min(chosen.sample, len(mutants)))
    return print_scores(judge(mutants))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except MutantError as error:
        sys.exit(str(error))
