"""The built-in embedding model on one core: `python -m bench.retrieval.embedder [FOLDER]`.

Prints the time to import and load it, the CPU time of a question, passages embedded in a second, and memory. With the folder of a dataset
(`bench/retrieval/datasets.py`), also the recall of its vectors alone, beside that of an earlier run with `--compare FILE`.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median

from bench.harness import machine
from bench.harness.tables import format_figure, table
from bench.retrieval.datasets import Dataset, load_dataset, recall_at

RESULTS = Path(__file__).parents[1] / "results"
RECALL_AT = (5, 10, 20)
QUESTION = "What should I avoid eating because of my allergies?"
PASSAGE = (
    "2026-05-08\nUser: I moved to Oslo in March and work for a shipping company now. The winters are long, but I like the sea.\n"
    "Assistant: That is a big change. Did you find a flat near the harbour, and do you already know people there?\n"
    "User: Yes, a small one in Bislett. A colleague of mine, Ingrid, lives around the corner and shows me the city."
)
_START = """
import time; began = time.perf_counter(); cpu = time.process_time()
from functions.embedder.sentence_model import SentenceModel
SentenceModel()
print(1000 * (time.perf_counter() - began), 1000 * (time.process_time() - cpu))
"""


def start_ms(rounds: int) -> tuple[float, float]:
    """Return the median wall and CPU time of importing and loading the model in a new process, in milliseconds."""
    command = [sys.executable, "-c", _START]
    outputs = [subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() for _ in range(rounds + 1)][1:]
    return median(float(wall) for wall, _ in outputs), median(float(cpu) for _, cpu in outputs)


def cpu_ms(work: Callable[[], object], rounds: int) -> float:
    """Return the mean CPU time of one round in milliseconds."""
    work()
    began = time.process_time()
    for _ in range(rounds):
        work()
    return 1000 * (time.process_time() - began) / rounds


def recalls(dataset: Dataset, embed: Callable[[str], Sequence[float]]) -> list[float]:
    """Return the mean recall by the vectors alone, at each rank of `RECALL_AT`."""
    import numpy as np

    items = np.array([embed(item.text) for item in dataset.items])
    found: list[list[float]] = []
    for query in dataset.queries:
        order = np.argsort(-(items @ np.array(embed(query.text))))
        ids = [dataset.items[index].id for index in order[: max(RECALL_AT)]]
        found.append([recall_at(ids, query.gold, rank) for rank in RECALL_AT])
    return [fmean(column) for column in zip(*found, strict=True)]


def measure(folder: Path | None) -> str:
    """Measure and return the Markdown document."""
    import numpy as np

    wall_ms, start_cpu_ms = start_ms(5)
    from functions.embedder.sentence_model import SentenceModel

    model = SentenceModel()
    question_ms = cpu_ms(lambda: model.embed(QUESTION), 200)
    passage_ms = cpu_ms(lambda: model.embed(PASSAGE), 100)
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = [
        ["import and load, ms", format_figure(wall_ms), "600"],
        ["import and load, ms of CPU", format_figure(start_cpu_ms), ""],
        ["a question, ms of CPU", format_figure(question_ms), "15"],
        [f"passages of {model.embed(PASSAGE)[1]} tokens a second of CPU", format_figure(1000 / passage_ms), "60"],
        ["memory, MB", format_figure(memory_mb), "250"],
    ]
    if folder:
        found = recalls(load_dataset(folder), lambda text: np.frombuffer(model.embed(text)[0], "<f4").tolist())
        rows += [
            [f"recall@{rank} of {folder.name}", format_figure(100 * recall), ""] for rank, recall in zip(RECALL_AT, found, strict=True)
        ]
    return f"## The built-in embedding model\n\n{machine.header()}\n\n{table(['measured', 'figure', 'aim'], rows)}\n"


def main() -> None:
    """Measure, print, and write `bench/results/embedder.md`."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval.embedder", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, nargs="?", help="folder of a dataset")
    document = measure(parser.parse_args().folder)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "embedder.md").write_text(document)
    print(document)


if __name__ == "__main__":
    main()
