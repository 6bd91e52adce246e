"""The built template, made to run here: what the emulator's workers get from their surroundings, containers get by it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from local.template.pseudo import STACK

NAME, PARAMETERS = "sam-local.yaml", "sam-local-parameters.yaml"
_PASSWORDS = ".pgpass"
_TASK_ROOT = "/var/task"


def derive(build: Path, *, parameters: Mapping[str, str], environment: Mapping[str, str], pgpass: str) -> None:
    """Write template and parameters beside the built template, and the passwords of `pgpass` into each function's folder.

    They go by a file because one function signs in as two roles. The built
    folder is as private as the file has to be: libpq takes it at mode 600 only.
    """
    template = yaml.safe_load((build / "template.yaml").read_text(encoding="utf-8"))
    for folder in _folders(template, build):
        _write_private(folder / _PASSWORDS, for_any_server(pgpass))
    given = {**environment, "PGPASSFILE": f"{_TASK_ROOT}/{_PASSWORDS}"}
    _write_yaml(build / NAME, with_environment(template, given))
    _write_yaml(build / PARAMETERS, {**parameters, "AWS::StackName": STACK})


def with_environment(template: dict[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the template with more variables for every function."""
    functions = template.get("Globals", {}).get("Function", {})
    merged = {**functions.get("Environment", {}).get("Variables", {}), **variables}
    function = {**functions, "Environment": {"Variables": merged}}
    return {**template, "Globals": {**template.get("Globals", {}), "Function": function}}


def for_any_server(pgpass: str) -> str:
    """Return a password file's entries for whatever host and port."""
    entries = [line.split(":", 2)[2] for line in pgpass.splitlines()]
    return "".join(f"*:*:{entry}\n" for entry in dict.fromkeys(entries))


def _folders(template: dict[str, Any], build: Path) -> list[Path]:
    resources = template["Resources"].values()
    return [build / resource["Properties"]["CodeUri"] for resource in resources if resource["Type"] == "AWS::Serverless::Function"]


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _write_yaml(path: Path, content: object) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
