"""AWS's SAM command line: build the stack, derive the template for containers, and invoke one function in a container."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local.sam_comparison.answers import FunctionAnswer, read_answer
from local.sam_comparison.process import ProcessFailed, run_command
from local.template.parameters import scalar_text
from local.template.pseudo import REGION, STACK
from local.template.resolve import Resolver

TEMPLATE_FILE = "sam-local.yaml"
PARAMETERS_FILE = "sam-local-parameters.yaml"
_PGPASS_FILE = ".pgpass"
_TASK_ROOT = "/var/task"
_SAM_PROGRAM = str(Path(sys.executable).with_name("sam"))
_BUILD_S = 900
_INVOKE_S = 180
_NO_VALUE = {"Ref": "AWS::NoValue"}


def derive_template(build: Path, *, parameters: Mapping[str, str], environment: Mapping[str, str], pgpass: str) -> None:
    """Write the derived template and its parameters beside the built one, and a password file into each function's folder.

    The passwords are in a file, not in a variable, because some functions log in to the database as two roles. libpq requires
    mode 600.
    """
    template = with_conditions_decided(yaml.safe_load((build / "template.yaml").read_text(encoding="utf-8")), parameters)
    for folder in _function_folders(template, build):
        _write_private(folder / _PGPASS_FILE, pgpass_for_any_server(pgpass))
    variables = {**environment, "PGPASSFILE": f"{_TASK_ROOT}/{_PGPASS_FILE}"}
    _write_yaml(build / TEMPLATE_FILE, with_environment(template, variables))
    _write_yaml(build / PARAMETERS_FILE, {**parameters, "AWS::StackName": STACK})


def with_conditions_decided(template: dict[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the template with each `Fn::If` replaced by its chosen branch.

    `sam local` evaluates both branches, and drops the value if one of them cannot be evaluated, such as the output of a nested stack.
    """
    defaults = {name: scalar_text(one.get("Default", "")) for name, one in template.get("Parameters", {}).items()}
    resolver = Resolver({"Resources": {}, "Conditions": template.get("Conditions", {})}, defaults | dict(parameters))
    decided: dict[str, Any] = _decided(template, resolver)
    return decided


def _decided(node: Any, resolver: Resolver) -> Any:
    if isinstance(node, list):
        return [item for item in (_decided(item, resolver) for item in node) if item != _NO_VALUE]
    if not isinstance(node, dict):
        return node
    if node.keys() == {"Fn::If"}:
        condition, yes, no = node["Fn::If"]
        return _decided(yes if resolver.holds(condition) else no, resolver)
    pairs = ((key, _decided(item, resolver)) for key, item in node.items())
    return {key: item for key, item in pairs if item != _NO_VALUE}


def with_environment(template: dict[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the template with these variables added to every function."""
    functions = template.get("Globals", {}).get("Function", {})
    merged = {**functions.get("Environment", {}).get("Variables", {}), **variables}
    function = {**functions, "Environment": {"Variables": merged}}
    return {**template, "Globals": {**template.get("Globals", {}), "Function": function}}


def pgpass_for_any_server(pgpass: str) -> str:
    """Return the content of the password file with each entry valid for any host and port."""
    entries = [line.split(":", 2)[2] for line in pgpass.splitlines()]
    return "".join(f"*:*:{entry}\n" for entry in dict.fromkeys(entries))


def _function_folders(template: dict[str, Any], build: Path) -> list[Path]:
    resources = template["Resources"].values()
    return [build / resource["Properties"]["CodeUri"] for resource in resources if resource["Type"] == "AWS::Serverless::Function"]


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _write_yaml(path: Path, content: object) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def sam_environment() -> dict[str, str]:
    """Return the environment for `sam`: no telemetry, and no AWS account, which `sam` would contact at every call."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    no_account = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
    return inherited | no_account | {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": REGION}


async def build_stack(root: Path, folder: Path, *, architecture: str) -> Path:
    """Build the checkout `root` in `folder` and return the folder of the artefacts. Raises `ProcessFailed`."""
    # Do not run this in the checkout, where `sam build` would discard the dependency cache of the developer's own build.
    folder.mkdir()
    command = (sys.executable, "-m", "local.sam_build", architecture, "--template", str(root / "template.yaml"), "--build-dir", "build")
    await run_command(*command, cwd=folder, environment=sam_environment(), limit_s=_BUILD_S)
    return folder / "build"


@dataclass(frozen=True)
class SamLocal:
    """Invokes functions of the derived template in `build`."""

    build: Path

    async def invoke(self, function: str, event: str) -> tuple[FunctionAnswer, str]:
        """Return the answer and the log. Raises `ProcessFailed` if there is no answer."""
        source = self.build / "event.json"
        source.write_text(event, encoding="utf-8")
        parameters = f"file://{self.build / PARAMETERS_FILE}"
        command = (_SAM_PROGRAM, "local", "invoke", function, "--template", str(self.build / TEMPLATE_FILE), "--event", str(source))
        # `find_container_engine` has already pulled the image.
        options = ("--skip-pull-image", "--region", REGION, "--parameter-overrides", parameters)
        stdout, log = await run_command(*command, *options, cwd=self.build, environment=sam_environment(), limit_s=_INVOKE_S)
        return read_result(stdout, log), log


def read_result(stdout: str, log: str) -> FunctionAnswer:
    """Parse the last line of `sam local invoke`'s output. Raises `ProcessFailed` with the log if it is not an answer."""
    try:
        return read_answer(json.loads(stdout.strip().splitlines()[-1]))
    except (ValueError, IndexError) as error:
        raise ProcessFailed("sam local invoke", f"{log}\n{stdout}") from error
