"""The commands in the guides exist as written: options of AWS's API, of `sam`, of make and of `parley`, outputs and parameters."""

import re
import shlex
import subprocess
import tomllib

import botocore.session
import pytest
from botocore import xform_name

from cli.main import LazyGroup
from local.template.source import read_source
from tests.conftest import ROOT

TEMPLATE = read_source(ROOT / "template.yaml").content
SAMCONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
GUIDES = ("deploy.md", "operate.md")
# Options of the AWS CLI itself.
GLOBAL = {"--query", "--output", "--region", "--profile", "--cli-binary-format"}
# `aws s3` has commands of its own, which the API does not describe.
S3_COMMANDS = {"rm", "rb", "sync", "cp", "ls", "mb"}
# `aws cloudformation deploy` and `aws rds wait` as well.
CLI_ONLY = {("cloudformation", "deploy"), ("rds", "wait")}


def console_lines(guide):
    """Return the commands of a guide's console blocks."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "docs" / guide).read_text(), re.DOTALL)
    lines = re.sub(r"\\\n\s*", " ", "\n".join(blocks)).splitlines()
    return [line.strip().removeprefix("$ ") for line in lines if line.strip().startswith("$ ")]


def commands(first):
    """Return the words of every command that begins with `first`, also behind a pipe."""
    found = []
    for guide in GUIDES:
        for line in console_lines(guide):
            for part in re.split(r"\s\|\s(?:xargs -n \d+ )?", line):
                words = shlex.split(re.sub(r"<[^>]*>", "PLACEHOLDER", part), comments=True)
                if words and words[0] == first:
                    found.append(words)
    return found


def described(words):
    return " ".join(words)[:100]


@pytest.mark.parametrize("words", commands("aws"), ids=described)
def test_a_command_of_the_aws_cli_exists(words):
    service, operation = words[1:3]
    if service == "s3":
        assert operation in S3_COMMANDS
        return
    if (service, operation) in CLI_ONLY:
        return
    model = botocore.session.get_session().get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(names[operation]).input_shape
    members = {f"--{xform_name(name, '-')}": shape for name, shape in shape.members.items()}
    booleans = {f"--no-{name[2:]}" for name, member in members.items() if member.type_name == "boolean"}
    given = {word for word in words[3:] if word.startswith("--")}

    assert given <= members.keys() | booleans | GLOBAL
    assert {f"--{xform_name(name, '-')}" for name in shape.required_members} <= given | ({"--payload"} if operation == "invoke" else set())


@pytest.mark.parametrize("words", commands(".venv/bin/sam"), ids=described)
def test_a_command_of_the_sam_cli_exists(words):
    options = [index for index, word in enumerate(words) if word.startswith("--")]
    help_text = subprocess.run([ROOT / words[0], *words[1 : options[0]], "--help"], capture_output=True, text=True, check=True).stdout

    assert {words[index] for index in options} <= set(re.findall(r"--[a-z-]+", help_text))


@pytest.mark.parametrize("words", commands("make"), ids=described)
def test_a_make_target_and_its_parameters_exist(words):
    variables = dict(word.split("=", 1) for word in words[2:])

    assert re.search(rf"^{words[1]}:.*##", MAKEFILE, re.MULTILINE)
    assert variables.get("ENVIRONMENT", "dev") in SAMCONFIG
    assert {pair.split("=")[0] for pair in variables.get("PARAMETERS", "").split()} <= TEMPLATE["Parameters"].keys()


@pytest.mark.parametrize("words", commands(".venv/bin/parley"), ids=described)
def test_a_command_of_parley_exists(words):
    assert words[1] in LazyGroup.entries


def test_every_output_in_angle_brackets_exists():
    known = {*TEMPLATE["Outputs"], "ARN"}
    named = {name for guide in GUIDES for line in console_lines(guide) for name in re.findall(r"<([A-Z]\w+)>", line)}

    assert named - known == set()


def test_every_environment_has_a_region_and_no_override_that_another_would_replace():
    environments = {name for name, table in SAMCONFIG.items() if isinstance(table, dict) and "deploy" in table}

    assert environments == {"dev", "prod"}
    for name in environments:
        assert SAMCONFIG[name]["global"]["parameters"]["region"]
        assert "parameter_overrides" not in SAMCONFIG[name]["deploy"]["parameters"]
        assert "CAPABILITY_IAM" in SAMCONFIG[name]["deploy"]["parameters"]["capabilities"]
