"""Drive other programs and libraries, unmodified, against the running stack and a fake vendor: `make clients`.

Each client of `clients.toml` is installed into `.clients`, and its driver in `drivers/` prints a line of JSON for each check. The
table of results goes into docs/clients.md, unless only some clients were chosen. The exit status is 1 if a check fails.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.clients import model
from tests.clients.installation import NODE, SUPPORT, Client, InstallationFailed, clients, install
from tests.e2e.conftest import MODELS, Stack, copy_of_sources
from tests.fakes.vendor import running_vendor
from tests.support.api_gateway import PASSWORD

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
PLUGIN = Path(__file__).with_name("conformance_tools.py")
START, END = "<!-- written by `make clients` -->", "<!-- end of the table -->"
TIMEOUT_S = 300
# A client must not find this machine's own keys and settings.
_KEPT_VARIABLES = ("PATH", "LANG", "SSL_CERT_FILE")
_NAME = 'name = "vendor-model"'  # agents need a longer context than the default
_RATE = ("--parameter", "RatePerMinute=100000")


@dataclass(frozen=True)
class Result:
    """The outcome of a client's checks: the names of those that passed, and the reasons of those that failed by name."""

    client: Client
    passed: Sequence[str]
    failed: Mapping[str, str]


def main() -> int:
    """Run the chosen clients, all by default, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"the clients to run (default: all): {', '.join(clients())}")
    names = parser.parse_args().names
    if unknown := set(names) - set(clients()):
        parser.error(f"unknown clients: {', '.join(unknown)}")
    chosen = [client for client in clients().values() if not names or client.name in names]
    with TemporaryDirectory(prefix="parley-clients-") as folder, running_vendor(model.answer) as vendor:
        models = Path(folder) / "models.toml"
        models.write_text(MODELS.format(url=vendor.url).replace(_NAME, f"{_NAME}\ncontext_tokens = 200_000"))
        sources = copy_of_sources(Path(folder) / "sources")
        shutil.copy(PLUGIN, sources / "functions" / "toolrunner" / "plugins")
        stack = Stack(Path(folder) / "data", models, "--template", str(sources / "template.yaml"), *_RATE, sources=sources)
        stack.start()
        try:
            results = [result_of(client, stack, Path(folder)) for client in chosen]
        finally:
            stack.stop()
    print(f"\n{table(results)}")
    if not names:
        PAGE.write_text(with_table(PAGE.read_text(), dated(table(results), datetime.now(UTC).date())))
    return int(any(result.failed for result in results))


def result_of(client: Client, stack: Stack, folder: Path) -> Result:
    """Install and run one client as a new user, and show each check as it ends."""
    print(f"\n{client.title}", flush=True)
    try:
        command = install(client)
    except InstallationFailed as exc:
        print(exc, flush=True)
        return Result(client, [], {"installation": str(exc)})
    home = folder / client.name
    home.mkdir()
    key = {"name": client.name, "password": PASSWORD, "scopes": client.scopes}
    variables = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    variables |= {"HOME": str(home), "PARLEY_URL": stack.url, "PARLEY_KEY": stack.register().post("/auth/api-keys", key).json()["key"]}
    variables |= {"PYTHONPATH": str(SUPPORT)}
    variables["PATH"] = f"{NODE / 'bin'}{os.pathsep}{variables['PATH']}"
    with (home / "errors.log").open("wb") as errors:
        done = subprocess.run(
            ["timeout", str(TIMEOUT_S), *command], cwd=home, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        )
    result = read_result(client, done.stdout.decode(errors="replace"), done.returncode)
    if result.failed:
        print((home / "errors.log").read_text(errors="replace")[-6000:], flush=True)
    print("\n".join([*(f"  ok   {name}" for name in result.passed), *(f"  FAIL {name}: {why}" for name, why in result.failed.items())]))
    shutil.rmtree(home, ignore_errors=True)
    return result


def read_result(client: Client, output: str, status: int) -> Result:
    """Read the lines that the driver printed. A driver that ends early fails, too."""
    lines = [json.loads(line) for line in output.splitlines() if line.startswith('{"check"')]
    failed = {line["check"]: line["error"] for line in lines if line["error"]}
    if status or not lines:
        failed["driver"] = f"ended with status {status} after {len(lines)} checks"
    return Result(client, [line["check"] for line in lines if not line["error"]], failed)


def table(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table."""
    rows = [
        f"| {result.client.title} | {result.client.version} | {', '.join(result.passed) or '–'} | {', '.join(result.failed) or '–'} |"
        for result in results
    ]
    return "\n".join(["| client | version | works | fails |", "|---|---|---|---|", *rows])


def dated(text: str, day: date) -> str:
    """Return the table with the day of the run below it."""
    return f"{text}\n\nThe last run was on {day.day} {day:%B %Y}."


def with_table(page: str, text: str) -> str:
    """Return the page with the table between its marks."""
    before, _, rest = page.partition(START)
    return f"{before}{START}\n\n{text}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    sys.exit(main())
