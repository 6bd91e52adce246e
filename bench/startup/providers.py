"""The cost of creating a provider in a new worker: `python -m bench.startup.providers`.

Measures fresh processes, interleaved: each imports the modules of every chat worker, then creates one provider with its SDK
and client.
"""

import argparse
import sys

from bench.harness.aims import Section
from bench.harness.processes import run_timed
from bench.harness.tables import format_figure, median, table

TEXT = """\
The import of the vendor's module and SDK and the creation of a client, beyond the imports of every worker. Medians of fresh,
interleaved processes. Each worker pays this once, at the first call of a model of the provider."""

_PROVIDER_CALLS = {
    "offline": "providers(Model(provider='offline', name='m'))",
    "offline embedding": "providers.embedder(Model(provider='offline', name='m', kind='embedding', dimensions=384))",
    "openai": "providers(Model(provider='openai', name='m', api_key='env:K'))",
    "openai, Responses": "providers(Model(provider='openai', name='m', api='responses', api_key='env:K'))",
    "mistral": "providers(Model(provider='mistral', name='m', api_key='env:K'))",
    "bedrock with a key": "providers(Model(provider='bedrock', name='m', api_key='env:K'))",
    "bedrock by the role": "providers(Model(provider='bedrock', name='m'))",
    "anthropic": "providers(Model(provider='anthropic', name='m', api_key='env:K'))",
}

_PROGRAM = """
import time
import parley.http.app
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.model import Model
from parley.llm.provider_registry import ProviderRegistry
providers = ProviderRegistry({{"K": "k", "AWS_REGION": "eu-west-1"}})
wall, cpu = time.perf_counter(), time.process_time()
{make}
print((time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000)
"""


def run(*, rounds: int) -> Section:
    """Measure everything and return the table."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in _PROVIDER_CALLS}
    for number in range(rounds + 1):
        print(f"providers: round {number} of {rounds}" if number else "providers: warming up", file=sys.stderr, flush=True)
        for name, make in _PROVIDER_CALLS.items():
            times_ms = run_timed([sys.executable, "-c", _PROGRAM.format(make=make)])
            if number:
                times[name].append(times_ms)
    rows = [
        [name, format_figure(median([ms for ms, _ in pairs])), format_figure(median([ms for _, ms in pairs]))]
        for name, pairs in times.items()
    ]
    return Section(f"## The first call of a provider\n\n{TEXT}\n\n{table(['', 'ms', 'CPU ms'], rows)}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    print(run(rounds=parser.parse_args().rounds).text)


if __name__ == "__main__":
    main()
