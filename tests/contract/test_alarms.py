"""The alarms, the dashboard and the saved log queries: when they exist, and that they watch what the stack has and the functions write."""

import json
import re

import pytest

from local.template import parameters, source
from parley.observability.metrics import METRICS, NAMESPACE
from tests.conftest import ROOT
from tests.contract import house_rules
from tests.contract.conftest import TEMPLATE
from tests.contract.test_database_modes import Created

STACKS = ROOT / "stacks"
DIRECT = {"DatabaseMode": "Direct", "DatabaseHost": "db.example.com", "DatabaseResourceId": "cluster-ABC"}
ALARM = "AWS::CloudWatch::Alarm"
OUTCOMES = {"completed", "stopped", "waiting", "interrupted", "failed"}
PURPOSES = {"chat", "embedding", "rerank", "title", "summary", "facts", "describe"}


@pytest.fixture(scope="session")
def created(translated):
    """Return the resources of the template, and those of a nested stack with the parameters that it receives."""
    file = source.read_source(TEMPLATE)

    def created(nested=None, **values):
        outer = Created(translated, parameters.parameter_values(file, values))
        if nested is None:
            return outer
        properties = next(one for one in outer.of("AWS::CloudFormation::Stack").values() if one["TemplateURL"] == f"stacks/{nested}.yaml")
        template = source.read_source(STACKS / f"{nested}.yaml").content
        given = {name: str(value) for name, value in properties["Parameters"].items()}
        assert given.keys() == template["Parameters"].keys()
        return Created(template, given)

    return created


def nested_stacks(created):
    return set(created.of("AWS::CloudFormation::Stack"))


@pytest.mark.parametrize(
    ("values", "exist"),
    [
        ({}, True),
        ({"StageName": "dev"}, False),
        ({"StageName": "dev", "Alarms": "on", "Dashboard": "on"}, True),
        ({"Alarms": "off", "Dashboard": "off"}, False),
    ],
)
def test_alarms_and_dashboard_exist_in_prod_or_on_request(created, values, exist):
    assert ({"AlarmStack", "DashboardStack"} <= nested_stacks(created(**values))) is exist


def alarmed(alarms, namespace, metric, dimension):
    return {
        alarm["Dimensions"][0]["Value"]
        for alarm in alarms.values()
        if (alarm.get("Namespace"), alarm.get("MetricName")) == (namespace, metric) and alarm["Dimensions"][0]["Name"] == dimension
    }


def test_every_function_but_the_authorizer_has_an_alarm_on_its_errors(created, stack):
    # API Gateway answers 401 only if the authorizer raises, so each invalid token counts as its error.
    watched = alarmed(created("alarms").of(ALARM), "AWS/Lambda", "Errors", "FunctionName")

    assert watched == set(stack.functions) - {"AuthorizerFunction"}


def test_every_dead_letter_queue_and_every_queue_of_jobs_has_an_alarm(created):
    outer, alarms = created(), created("alarms").of(ALARM)
    queues = outer.of("AWS::SQS::Queue")
    with_dead_letters = {name for name, queue in queues.items() if "RedrivePolicy" in queue}

    assert alarmed(alarms, "AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName") == set(queues) - with_dead_letters
    assert alarmed(alarms, "AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName") == with_dead_letters


def test_an_alarm_tells_of_loops_that_lambda_stopped_in_each_function_with_a_queue(created, stack):
    fed = {event_source.function for event_source in stack.event_sources}

    assert alarmed(created("alarms").of(ALARM), "AWS/Lambda", "RecursiveInvocationsDropped", "FunctionName") == fed


def test_the_connections_of_the_proxy_are_watched_if_there_is_one(created):
    assert "ProxyConnections" in created("alarms").of(ALARM)
    assert "ProxyConnections" not in created("alarms", **DIRECT).of(ALARM)


def test_the_connections_of_the_proxy_are_compared_whatever_the_number_of_its_hosts(created):
    """The proxy publishes these metrics for its role READ_WRITE, a value per host and minute. AWS advises their sum.

    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-proxy.monitoring.html
    """
    share, *parts = created("alarms").of(ALARM)["ProxyConnections"]["Metrics"]
    names = {part["Id"]: part["MetricStat"]["Metric"]["MetricName"] for part in parts}

    assert (share["Expression"], names) == (
        "100 * open / allowed",
        {"open": "DatabaseConnections", "allowed": "MaxDatabaseConnectionsAllowed"},
    )
    for part in parts:
        dimensions = {one["Name"]: one["Value"] for one in part["MetricStat"]["Metric"]["Dimensions"]}
        assert dimensions | {"ProxyName": ""} == {"ProxyName": "", "TargetGroup": "default", "TargetRole": "READ_WRITE"}
        assert part["MetricStat"]["Stat"] == "Sum"


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({"DailySpendUsd": "0"}, {"DailySpend"}),
        ({"SlowRequestMs": "0"}, {"SlowRequests"}),
        ({"SlowFirstTokenMs": "0"}, {"SlowFirstTokens"}),
        ({"Metrics": "off"}, {"DailySpend", "SlowRequests", "SlowFirstTokens", "TurnFailures", "UnexpectedErrors"}),
    ],
)
def test_an_alarm_that_cannot_start_or_is_not_wanted_does_not_exist(created, values, missing):
    everything = set(created("alarms").of(ALARM))

    assert everything - set(created("alarms", **values).of(ALARM)) == missing


def test_every_alarm_mails_its_start_and_its_end_and_is_quiet_without_data(created):
    mailed = created("alarms", AlarmEmail="ops@example.com")

    assert [one["Endpoint"] for one in mailed.of("AWS::SNS::Subscription").values()] == ["ops@example.com"]
    assert created("alarms").of("AWS::SNS::Subscription") == {}
    for name, alarm in mailed.of(ALARM).items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == ["Topic"], name
        assert (alarm["TreatMissingData"], bool(alarm["AlarmDescription"])) == ("notBreaching", True), name


def metrics_of_alarms(alarms):
    """Yield (namespace, metric, dimensions) of every alarm, those in expressions too."""
    for alarm in alarms.values():
        stats = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one]
        for metric in stats or [alarm]:
            yield metric["Namespace"], metric["MetricName"], {one["Name"]: one["Value"] for one in metric["Dimensions"]}


def metrics_of_dashboard(dashboard):
    """Yield (namespace, metric, dimensions) of every line of every widget."""
    for widget in dashboard["widgets"]:
        lines = [line for line in widget["properties"]["metrics"] if "expression" not in line[0]]
        for namespace, name, *rest in lines:
            dimensions = [one for one in rest if isinstance(one, str)]
            yield namespace, name, dict(zip(dimensions[::2], dimensions[1::2], strict=True))


def check_parleys_metric(name, dimensions, stack):
    breakdown = METRICS[name].by
    services = {function.environment["POWERTOOLS_SERVICE_NAME"] for function in stack.functions.values()}
    values = {"service": services, "outcome": OUTCOMES, "purpose": PURPOSES}
    assert dimensions.pop("stack") == "parley"
    assert dimensions.keys() <= {breakdown}, name
    assert all(value in values[dimension] for dimension, value in dimensions.items()), (name, dimensions)


def test_every_alarm_on_parleys_metrics_watches_one_that_is_written(created, stack):
    watched = [(name, dimensions) for space, name, dimensions in metrics_of_alarms(created("alarms").of(ALARM)) if space == NAMESPACE]

    assert {name for name, _ in watched} >= {"Turns", "CostUsd", "FirstTokenMs", "RequestMs", "UnexpectedErrors"}
    for name, dimensions in watched:
        check_parleys_metric(name, dimensions, stack)


@pytest.mark.parametrize("values", [{}, DIRECT], ids=["with a proxy", "without"])
def test_the_dashboard_shows_every_metric_and_only_metrics_that_are_written(created, stack, values):
    (properties,) = created("dashboard", **values).of("AWS::CloudWatch::Dashboard").values()
    shown = list(metrics_of_dashboard(json.loads(properties["DashboardBody"])))

    assert {name for space, name, _ in shown if space == NAMESPACE} == set(METRICS)
    assert ("AWS/RDS" in {space for space, *_ in shown}) is (values == {})
    for space, name, dimensions in shown:
        if space == NAMESPACE:
            check_parleys_metric(name, dimensions, stack)


def test_no_widget_covers_another(created):
    (properties,) = created("dashboard").of("AWS::CloudWatch::Dashboard").values()
    cells = [
        (widget["x"] + x, widget["y"] + y)
        for widget in json.loads(properties["DashboardBody"])["widgets"]
        for x in range(widget["width"])
        for y in range(widget["height"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_a_saved_query_reads_both_log_groups_and_names_only_events_that_are_logged(created):
    queries = created("dashboard").of("AWS::Logs::QueryDefinition")
    events = set(house_rules.log_events(ROOT))

    assert len(queries) == 8
    for query in queries.values():
        named = re.findall(r"message (?:in|=) (\[.*?\]|\"\w+\")", query["QueryString"])
        assert len(query["LogGroupNames"]) == 2
        assert {event for text in named for event in re.findall(r"\w+", text)} <= events


def test_operators_find_every_alarm_and_every_query(created):
    page = (ROOT / "docs" / "operate.md").read_text()
    functions = re.compile(r"^\w+(?:Errors|Recursion|Filled|Age)$")
    alarms = [name for name in created("alarms").of(ALARM) if not functions.match(name) or name in ("ApiErrors", "UnexpectedErrors")]
    queries = [query["Name"].rpartition("/")[2] for query in created("dashboard").of("AWS::Logs::QueryDefinition").values()]

    assert [name for name in [*alarms, *queries] if f"`{name}`" not in page] == []


def test_a_run_of_a_schedule_that_fails_is_kept(translated):
    resources = translated["Resources"]
    schedules = {name: one["Properties"]["Target"] for name, one in resources.items() if one["Type"] == "AWS::Scheduler::Schedule"}
    configured = {
        one["Properties"]["FunctionName"]["Ref"]: one["Properties"].get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        for one in resources.values()
        if one["Type"] == "AWS::Lambda::EventInvokeConfig"
    }
    kept = {"Fn::GetAtt": ["ScheduleDeadLetters", "Arn"]}

    assert len(schedules) == 4
    for name, target in schedules.items():
        role = resources[target["RoleArn"]["Fn::GetAtt"][0]]["Properties"]
        function = re.search(r"(\w+Function)", json.dumps(target["Arn"]))[1]
        may_send = json.dumps({"Action": "sqs:SendMessage", "Effect": "Allow", "Resource": kept}, sort_keys=True)
        own_role = resources[resources[function]["Properties"]["Role"]["Fn::GetAtt"][0]]["Properties"]
        assert target["DeadLetterConfig"] == {"Arn": kept}, name
        assert configured[function] == kept, name
        assert may_send in json.dumps(role, sort_keys=True), name
        assert may_send in json.dumps(own_role, sort_keys=True), name
