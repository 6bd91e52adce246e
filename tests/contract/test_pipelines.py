"""Both pipelines run the gate of `.ci/run` and deploy as samconfig.toml and the roles say; no pipeline runs here."""

import json
import os
import re
import shlex
import subprocess
import threading
import tomllib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from samcli.commands.deploy.command import cli as sam_deploy
from samtranslator.yaml_helper import yaml_parse

from tests.conftest import ROOT

WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}
BITBUCKET = yaml.safe_load((ROOT / "bitbucket-pipelines.yml").read_text())
SAMCONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())
ENVIRONMENTS = {"dev", "prod"}


def make_targets(lines):
    """Return the make commands, without those that only install: their first target is a file."""
    commands = {match.strip() for line in lines for match in re.findall(r"^make [^>&|]*", line.strip(), re.MULTILINE)}
    return {command for command in commands if "/" not in command.split()[1]}


def gate():
    return make_targets((ROOT / ".ci/run").read_text().splitlines())


def github_commands(workflow):
    return [step["run"] for job in WORKFLOWS[workflow]["jobs"].values() for step in job.get("steps", ()) if "run" in step]


def bitbucket_steps(stages):
    return [entry["step"] for stage in stages for entry in stage.get("parallel", [stage])]


def commands(steps):
    return [line for step in steps for line in step["script"]]


def test_the_gate_checks_builds_and_tests():
    assert gate() == {"make check", "make test RECORD=lines", "make mutation SAMPLE=120 AT_LEAST=80", "make build ARCHITECTURE=native"}


def gate_of_pipelines():
    """The targets of the gate in pipelines, in which a machine of its own builds what will be deployed."""
    return gate() - {"make build ARCHITECTURE=native"} | {"make build ARCHITECTURE=arm64"}


def test_github_runs_the_gate():
    assert make_targets(github_commands("check")) == gate_of_pipelines()
    assert "pull_request" in WORKFLOWS["check"][True]  # YAML reads `on` as true


@pytest.mark.parametrize("stages", [BITBUCKET["pipelines"]["pull-requests"]["**"], BITBUCKET["pipelines"]["branches"]["main"]])
def test_bitbucket_runs_the_gate(stages):
    gate_steps = [step for step in bitbucket_steps(stages) if "deployment" not in step]

    assert make_targets(commands(gate_steps)) == gate_of_pipelines()


def test_github_deploys_to_prod_only_after_the_gate_and_dev():
    jobs = WORKFLOWS["deploy"]["jobs"]

    assert [(name, job.get("needs")) for name, job in jobs.items()] == [("gate", None), ("dev", "gate"), ("prod", "dev")]
    assert {jobs[name]["with"]["environment"] for name in ("dev", "prod")} == ENVIRONMENTS
    assert WORKFLOWS["deploy-stack"]["jobs"]["deploy"]["environment"] == "${{ inputs.environment }}"


def test_bitbucket_waits_for_an_approval_before_prod():
    last = bitbucket_steps(BITBUCKET["pipelines"]["branches"]["main"])[-2:]

    assert [(step["deployment"], step.get("trigger")) for step in last] == [("dev", None), ("prod", "manual")]
    assert all(step["oidc"] for step in last)


def test_both_pipelines_deploy_alike():
    deploy = bitbucket_steps(BITBUCKET["pipelines"]["branches"]["main"])[-1]
    targets = ["make .venv/dev", "make build ARCHITECTURE=arm64", "make deploy", "make smoke"]

    assert [line for line in deploy["script"] if line.startswith("make ")] == targets
    assert github_commands("deploy-stack") == targets


def test_every_action_is_pinned_to_a_commit_and_names_its_version():
    used = [
        line.strip() for path in (ROOT / ".github/workflows").glob("*.yml") for line in path.read_text().splitlines() if "uses:" in line
    ]
    foreign = [line for line in used if "uses: ./" not in line]

    assert foreign
    assert [line for line in foreign if not re.fullmatch(r"(- )?uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_no_stored_key_is_used():
    texts = [path.read_text() for path in [*(ROOT / ".github").rglob("*.yml"), ROOT / "bitbucket-pipelines.yml"]]

    assert not any(word in text for text in texts for word in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "secrets."))


def deploy_arguments(**environment):
    """Return the arguments that `make deploy` gives to `sam`."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PARAMETERS", "EXECUTION_ROLE", "MAKEFLAGS", "MAKELEVEL")}
    recipe = subprocess.run(
        ["make", "--no-print-directory", "-n", "deploy"], cwd=ROOT, env=clean, capture_output=True, text=True, check=True
    ).stdout
    shell = recipe[recipe.index("set -f") :].replace(".venv/bin/sam", "printf '%s\\n'")
    return subprocess.run(["sh", "-c", shell], env=clean | environment, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("environment", sorted(ENVIRONMENTS))
def test_the_deployment_takes_what_samconfig_says(environment, monkeypatch):
    monkeypatch.chdir(ROOT)
    command, *arguments = deploy_arguments(
        ENVIRONMENT=environment, PARAMETERS="StageName=v2 AllowedOrigin=*", EXECUTION_ROLE="arn:aws:iam::1:role/x"
    )
    given = sam_deploy.make_context("deploy", arguments).params
    configured = SAMCONFIG[environment]

    assert command == "deploy"
    assert given["stack_name"] == configured["global"]["parameters"]["stack_name"] == f"parley-{environment}"
    assert list(given["capabilities"]) == shlex.split(configured["deploy"]["parameters"]["capabilities"])
    assert given["parameter_overrides"] == {"StageName": "v2", "AllowedOrigin": "*"}
    assert (given["role_arn"], given["resolve_s3"], given["confirm_changeset"]) == ("arn:aws:iam::1:role/x", True, False)


def test_the_deployment_needs_neither_parameters_nor_a_role():
    arguments = deploy_arguments(ENVIRONMENT="dev", PARAMETERS="", EXECUTION_ROLE="")

    assert arguments == ["deploy", "--config-env", "dev", "--no-confirm-changeset", "--no-fail-on-empty-changeset"]


def test_samconfig_names_a_region_in_every_environment_and_overrides_nothing():
    tables = {name: table for name, table in SAMCONFIG.items() if name != "version"}

    assert set(tables) >= ENVIRONMENTS
    assert all("region" in table["global"]["parameters"] for table in tables.values())
    assert not any("parameter_overrides" in command.get("parameters", {}) for table in tables.values() for command in table.values())


def test_the_roles_belong_to_the_stacks_of_samconfig():
    text = (ROOT / "pipelines/aws-roles.yaml").read_text()

    assert set(yaml_parse(text)["Parameters"]["Environment"]["AllowedValues"]) == ENVIRONMENTS
    assert "stack/parley-${Environment}/*" in text
    assert "role/parley-${Environment}-*" in text


def test_only_the_subject_may_take_the_deploy_role():
    role = yaml_parse((ROOT / "pipelines/aws-roles.yaml").read_text())["Resources"]["DeployRole"]["Properties"]
    trust = json.loads(role["AssumeRolePolicyDocument"]["Fn::Sub"])["Statement"]

    assert [statement["Condition"]["StringLike"] for statement in trust] == [{"${Issuer}:sub": "${Subject}"}]
    assert [statement["Condition"]["StringEquals"] for statement in trust] == [{"${Issuer}:aud": "${Audience}"}]


@pytest.mark.parametrize("subject", ["*", "repo:*", "repo:acme/*:environment:dev"])
def test_a_subject_that_lets_others_deploy_is_refused(subject):
    pattern = yaml_parse((ROOT / "pipelines/aws-roles.yaml").read_text())["Parameters"]["Subject"]["AllowedPattern"]

    assert not re.match(pattern, subject)


STACK = """<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks><member>
<StackName>{name}</StackName><StackStatus>UPDATE_COMPLETE</StackStatus><CreationTime>2026-11-01T00:00:00Z</CreationTime><Outputs><member>
<OutputKey>ApiUrl</OutputKey><OutputValue>{url}</OutputValue></member></Outputs>
</member></Stacks></DescribeStacksResult></DescribeStacksResponse>"""


@contextmanager
def deployed(name, *, status):
    """Run a server that answers as CloudFormation about one stack, and as that stack's API. Yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
            is_known = f"StackName={name}" in asked
            self.answer(200 if is_known else 400, STACK.format(name=name, url=f"{url}/prod"))

        def do_GET(self):
            self.answer(status if self.path == "/prod/health/ready" else 404, '{"status":"ok"}')

        def answer(self, status, body):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


def smoke(environment, url):
    variables = os.environ | {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "RETRIES": "0"}
    command = ["make", "--no-print-directory", "smoke"]
    return subprocess.run(command, cwd=ROOT, env=variables | {"ENVIRONMENT": environment}, capture_output=True, text=True, check=False)


def test_the_smoke_test_passes_once_the_deployed_stack_is_ready():
    with deployed("parley-dev", status=200) as url:
        done = smoke("dev", url)

    assert done.returncode == 0, done.stderr
    assert '{"status":"ok"}' in done.stdout


def test_the_smoke_test_fails_while_the_deployed_stack_is_not_ready():
    with deployed("parley-prod", status=503) as url:
        done = smoke("prod", url)

    assert done.returncode != 0
    assert "503" in done.stderr
