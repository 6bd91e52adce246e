"""The stack that a template describes, and the errors in a template."""

import copy
import json
import re
from pathlib import Path

import pytest
from samtranslator.swagger import swagger

from local.template.errors import TemplateInvalid
from local.template.load import load
from local.template.source import read_source
from local.template.stack import LambdaIntegration, MockIntegration, RateLimit, Route, Stack
from local.template.translate import translate
from tests.local.conftest import STACK


def route(stack: Stack, method: str, path: str) -> Route:
    return next(one for one in stack.api.routes if (one.method, one.path) == (method, path))


def test_a_function_has_its_code_and_its_environment(stack: Stack) -> None:
    function = stack.functions["EchoFunction"]

    assert function.handler == "plain.echo"
    assert function.root == STACK.parent / "handlers"
    assert dict(function.environment) == {"GREETING": "hello", "DATABASE_PORT": "5432", "DATABASE_PREPARED_STATEMENTS": "no"}


def test_parent_packages_move_the_root_above_the_code(tmp_path: Path) -> None:
    code = tmp_path / "functions" / "work"
    code.mkdir(parents=True)
    (code / "app.py").touch()
    function = load_text(tmp_path, FUNCTION.format(handler="functions.work.app.handler")).functions["Work"]

    assert function.root == tmp_path
    assert function.folder == code


def test_routes_know_how_they_answer(stack: Stack) -> None:
    streaming = route(stack, "GET", "/stream/{kind}").integration
    buffered = route(stack, "GET", "/buffered/{kind}").integration

    assert streaming == LambdaIntegration(function="StreamFunction", is_streaming=True, timeout_s=20)
    assert buffered == LambdaIntegration(function="StreamFunction", is_streaming=False, timeout_s=29)


def test_routes_know_who_may_call_them_and_how_often(stack: Stack) -> None:
    assert route(stack, "GET", "/closed").authorizer == "Gate"
    assert route(stack, "ANY", "/echo").authorizer is None
    assert route(stack, "GET", "/limited").throttle == RateLimit(0.01, 2)
    assert route(stack, "GET", "/closed").throttle == RateLimit(1000, 1000)


def test_preflights_answer_by_themselves(stack: Stack) -> None:
    preflight = route(stack, "OPTIONS", "/closed")

    assert preflight.authorizer is None
    assert isinstance(preflight.integration, MockIntegration)
    assert preflight.integration.headers["Access-Control-Allow-Origin"] == "*"


def test_authorizers_and_binary_types_are_read(stack: Stack) -> None:
    gate = stack.api.authorizers["Gate"]

    assert (gate.function, gate.identity_headers, gate.ttl_s) == ("GateFunction", ("Authorization",), 60)
    assert (stack.api.authorizers["OpenGate"].identity_headers, stack.api.authorizers["OpenGate"].ttl_s) == ((), 0)
    assert stack.api.binary_types == ("multipart/form-data", "image/*")


def test_schedules_of_both_services_are_read(stack: Stack) -> None:
    hourly, nightly = stack.schedules

    assert (hourly.name, hourly.function, hourly.input, hourly.is_enabled) == ("hourly", "EchoFunction", '{"from": "hourly"}', True)
    assert (nightly.expression, nightly.is_enabled) == ("cron(0 3 * * ? *)", False)


def test_a_queue_is_set_whole_and_knows_its_dead_letters(stack: Stack) -> None:
    queue = stack.queues["WorkQueue"]

    assert queue.name == "WorkQueue"
    assert (queue.attributes["VisibilityTimeout"], queue.attributes["DelaySeconds"]) == ("1", "0")
    assert json.loads(queue.attributes["RedrivePolicy"]) == {
        "deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:DeadQueue",
        "maxReceiveCount": 2,
    }
    assert stack.queues["DeadQueue"].attributes["RedrivePolicy"] == ""


def test_what_reads_a_queue_is_read_with_its_limits(stack: Stack) -> None:
    (source,) = stack.event_sources

    assert (source.function, source.queue) == ("WorkFunction", "WorkQueue")
    assert (source.batch_size, source.window_s, source.concurrency, source.reports_failures, source.is_enabled) == (5, 0, 2, True, True)


def test_functions_find_queues_buckets_and_their_sender() -> None:
    stack = load(STACK, overrides={}, offered={"MailFrom": "me@example.com"}, queues_url="http://127.0.0.1:9")
    environment = stack.functions["WorkFunction"].environment

    assert environment["QUEUE_URL"] == stack.queues["WorkQueue"].url == "http://127.0.0.1:9/123456789012/WorkQueue"
    assert environment["BUCKET"] == stack.buckets["FilesBucket"].name == "parley-filesbucket"
    assert environment["MAIL_FROM"] == stack.mail_from == "me@example.com"


def test_parameters_take_overrides_and_only_the_offers_they_know() -> None:
    stack = load(STACK, overrides={"StageName": "blue"}, offered={"DatabasePort": "99", "Unknown": "x"})

    assert stack.api.stage == "blue"
    assert stack.functions["EchoFunction"].environment["DATABASE_PORT"] == "99"


def test_the_translation_is_that_of_the_translator_with_its_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = translated_text()
    monkeypatch.setattr(swagger, "_deepcopy", copy.deepcopy)

    assert ours == translated_text()


def translated_text() -> str:
    """Return the translated stack without the deployment's id, which depends on the order of keys."""
    text = json.dumps(translate(read_source(STACK), {}), sort_keys=True)
    return re.sub(r"(ApiDeployment|deployment id: )[0-9a-f]+", r"\1", text)


FUNCTION = """\
Transform: AWS::Serverless-2016-10-31
Parameters:
  Size: {{Type: Number, Default: 128, AllowedValues: [128, 256]}}
Resources:
  Work:
    Type: AWS::Serverless::Function
    Metadata: {{BuildProperties: {{ParentPackages: functions.work}}}}
    Properties:
      CodeUri: functions/work
      Runtime: python3.13
      Handler: {handler}
"""


def load_text(folder: Path, text: str, **overrides: str) -> Stack:
    (folder / "template.yaml").write_text(text)
    return load(folder / "template.yaml", overrides=overrides)


def problem_of(folder: Path, text: str, **overrides: str) -> str:
    (folder / "functions" / "work").mkdir(parents=True, exist_ok=True)
    (folder / "functions" / "work" / "app.py").touch()
    with pytest.raises(TemplateInvalid) as caught:
        load_text(folder, text, **overrides)
    return str(caught.value)


GOOD = FUNCTION.format(handler="functions.work.app.handler")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TemplateInvalid, match=r"nowhere\.yaml: template: cannot read the file: No such file"):
        load(tmp_path / "nowhere.yaml", overrides={})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Resources: {a: [", "template.yaml:1: YAML: "),
        ("Resources:\n  Work: {Properties: {}}\n", "template.yaml:2: Work: the resource has no Type"),
        ("Description: nothing\n", "the template has no Resources section"),
        (GOOD.replace("app.handler", "gone.handler"), "template.yaml:11: Work: the handler 'functions.work.gone.handler' needs"),
        (GOOD.replace("functions/work", "functions/gone"), "template.yaml:9: Work: the folder 'functions/gone' does not exist"),
        (GOOD + "      MemorySize: !Ref Sise\n", "template.yaml:12: Work: 'Sise' is neither a parameter nor a resource"),
        (GOOD + "      Layers: [!Sub 'x-${Nobody.Arn}']\n", "template.yaml:12: Work: 'Nobody.Arn' is neither"),
        (GOOD.replace("python3.13", "nodejs24.x"), "Work: the emulator supports Python runtimes only"),
        (GOOD.replace("CodeUri: functions/work", "Timeout: 3"), "template.yaml:5: Work: Only one of 'InlineCode' or 'CodeUri'"),
        (GOOD + "      Evnts: {}\n", "template.yaml:5: Work: "),
    ],
)
def test_a_fault_is_told_with_its_line_and_resource(tmp_path: Path, text: str, message: str) -> None:
    assert message in problem_of(tmp_path, text)


def test_parameters_must_exist_and_be_allowed(tmp_path: Path) -> None:
    assert "Color: this template has no such parameter" in problem_of(tmp_path, GOOD, Color="red")
    assert "template.yaml:3: Size: '300' is not among the AllowedValues" in problem_of(tmp_path, GOOD, Size="300")


@pytest.mark.parametrize("value", ["0", "101", "many", "NaN", "1e9"])
def test_a_number_must_be_within_its_bounds(tmp_path: Path, value: str) -> None:
    bounded = GOOD.replace("AllowedValues: [128, 256]", "MinValue: 1, MaxValue: 100").replace("Default: 128", "Default: 5")

    assert f"Size: '{value}' must be a number, at least 1 and at most 100" in problem_of(tmp_path, bounded, Size=value)


def test_text_must_match_its_pattern(tmp_path: Path) -> None:
    patterned = GOOD.replace("Type: Number, Default: 128, AllowedValues: [128, 256]", "Type: String, Default: a, AllowedPattern: '[a-z]+'")

    assert "Size: 'a1' does not match the AllowedPattern [a-z]+" in problem_of(tmp_path, patterned, Size="a1")


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    text = GOOD + GOOD[GOOD.index("  Work:") :].replace("  Work:", "  Other:")
    told = problem_of(tmp_path, text.replace("app.handler", "gone.handler"))

    assert "Work: the handler" in told
    assert "Other: the handler" in told


def test_a_schedule_that_eventbridge_would_refuse_is_a_fault(tmp_path: Path) -> None:
    event = "      Events: {Often: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(5 minute)}}}\n"

    assert "WorkOften: 'rate(5 minute)'" in problem_of(tmp_path, GOOD + event)


QUEUE = (
    GOOD
    + """\
      Events: {Work: {Type: SQS, Properties: {Queue: !GetAtt Queue.Arn, BatchSize: 10}}}
  Queue: {Type: AWS::SQS::Queue}
"""
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (QUEUE.replace("BatchSize: 10", "BatchSize: 11"), "WorkWork: BatchSize is 11"),
        (QUEUE.replace("BatchSize: 10", "FilterCriteria: {Filters: []}"), "WorkWork: the emulator does not support FilterCriteria"),
        (QUEUE.replace("!GetAtt Queue.Arn", "arn:aws:sqs:us-east-1:123456789012:Other"), "WorkWork: its source 'Other' is not a queue"),
        (QUEUE.replace("!GetAtt Queue.Arn", "arn:aws:sqs:eu-west-1:1:Other"), "WorkWork: its source 'arn:aws:sqs:eu-west-1:1:Other'"),
        (
            GOOD + "  Files: {Type: AWS::S3::Bucket, Properties: {NotificationConfiguration: {TopicConfigurations: []}}}\n",
            "TopicConfigurations: the emulator notifies queues only",
        ),
        (GOOD + "  Files: {Type: AWS::S3::Bucket, Properties: {BucketName: Big}}\n", "Files: 'Big' is not a bucket name"),
    ],
)
def test_a_queue_or_bucket_that_aws_would_refuse_is_a_fault(tmp_path: Path, text: str, message: str) -> None:
    assert message in problem_of(tmp_path, text)


def test_a_resource_whose_condition_is_false_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "functions" / "work").mkdir(parents=True)
    text = GOOD.replace("Resources:", "Conditions: {Never: !Equals [a, b]}\nResources:").replace(
        "    Metadata", "    Condition: Never\n    Metadata"
    )

    assert load_text(tmp_path, text).functions == {}
