"""The embedder's function, run by the real emulator and called by the real provider."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.template.load import load
from parley.llm.vendors.builtin import BuiltinEmbedder
from tests.local.running_emulator import RunningEmulator

ROOT = Path(__file__).parents[3]
TEMPLATE = f"""
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  Api: {{Type: AWS::Serverless::Api, Properties: {{StageName: test}}}}
  EmbedderFunction:
    Type: AWS::Serverless::Function
    Metadata: {{Isolated: true, BuildProperties: {{ParentPackageMode: explicit, ParentPackages: functions.embedder}}}}
    Properties:
      Runtime: python3.13
      CodeUri: {ROOT}/functions/embedder
      Handler: functions.embedder.app.handler
      Timeout: 30
      MemorySize: 1024
      Environment: {{Variables: {{POWERTOOLS_SERVICE_NAME: embedder}}}}
"""


@pytest.fixture(scope="package")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuiltinEmbedder]:
    folder = tmp_path_factory.mktemp("embedder")
    (folder / "template.yaml").write_text(TEMPLATE)
    with pytest.MonkeyPatch.context() as patch:
        stack = load(folder / "template.yaml", overrides={})
        with RunningEmulator.started(stack, logs=folder / "logs", aws_url="http://127.0.0.1:9") as running:
            patch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"{running.url}/_local/lambda")
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                patch.setenv(name, "local")
            patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
            made = BuiltinEmbedder("builtin", function_name="EmbedderFunction", dimensions=384, timeout_s=120)
            yield made
            made.close()
