"""A tool runner with test plugins, run by the real emulator and called by the real invoker."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.template.load import load
from parley.ids import new_id
from parley.tools.invoker import Invoker
from parley.tools.outcome import ToolOutcome
from tests.local.running_emulator import RunningEmulator

ROOT = Path(__file__).parents[3]
ADA = new_id()
TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  Api: {Type: AWS::Serverless::Api, Properties: {StageName: test}}
  ToolrunnerFunction:
    Type: AWS::Serverless::Function
    Metadata: {Isolated: true, BuildProperties: {ParentPackageMode: explicit, ParentPackages: functions.toolrunner}}
    Properties:
      Runtime: python3.13
      CodeUri: functions/toolrunner
      Handler: functions.toolrunner.app.handler
      Timeout: 10
      MemorySize: 512
      Environment:
        Variables:
          POWERTOOLS_SERVICE_NAME: toolrunner
          PARLEY_TOOL_ALLOWED_HOSTS: ""
          PARLEY_GEOCODING_URL: http://127.0.0.1:9/search
          PARLEY_FORECAST_URL: http://127.0.0.1:9/forecast
          PARLEY_CALLS_MCP: "false"
"""


@dataclass
class Runner:
    """The running tool runner, its plugin folder and its invoker."""

    plugins: Path
    invoker: Invoker
    running: RunningEmulator

    def run(self, name: str, *, timeout_s: float = 10, **arguments: Any) -> ToolOutcome:
        return self.invoker.run(name, arguments, user_id=ADA, timeout_s=timeout_s)


@pytest.fixture(scope="package")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Serve a copy of the function with the plugins in this folder, and reload it on changes as `parley up` does."""
    tree = tmp_path_factory.mktemp("tree")
    ours = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "functions" / "toolrunner", tree / "functions" / "toolrunner", ignore=ours)
    plugins = tree / "functions" / "toolrunner" / "plugins"
    shutil.copytree(Path(__file__).with_name("plugins"), plugins, dirs_exist_ok=True, ignore=ours)
    (tree / "functions" / "__init__.py").touch()
    (tree / "template.yaml").write_text(TEMPLATE)
    with pytest.MonkeyPatch.context() as patch:
        stack = load(tree / "template.yaml", overrides={})
        with RunningEmulator.started(stack, logs=tree / "logs", watching=tree / "template.yaml", aws_url="http://127.0.0.1:9") as running:
            patch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"{running.url}/_local/lambda")
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                patch.setenv(name, "local")
            patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
            yield Runner(plugins, Invoker("ToolrunnerFunction"), running)
