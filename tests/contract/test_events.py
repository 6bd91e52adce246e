"""The event files for `sam local invoke` and `parley invoke`."""

import re

import pytest

from local.template.stack import LambdaIntegration
from tests.support.api_gateway import Function


def route_of(event):
    return f"{event['httpMethod']} {event['resource']}"


def http_events(events):
    return {name: event for name, event in events.items() if "httpMethod" in event and event.get("type") != "REQUEST"}


def folder_of(name):
    return name.split("_")[0]


def test_every_route_has_an_event(stack, events):
    routes = {f"{route.method} {route.path}" for route in stack.api.routes if isinstance(route.integration, LambdaIntegration)}

    assert {route_of(event) for event in http_events(events).values()} == routes


def test_every_function_has_an_event(stack, events):
    folders = {function.handler.split(".")[1] for function in stack.functions.values()}

    assert {folder_of(name) for name in events} == folders


def test_an_event_is_named_after_the_function_that_serves_its_route(stack, events):
    serving = {
        f"{route.method} {route.path}": stack.functions[route.integration.function].handler.split(".")[1]
        for route in stack.api.routes
        if isinstance(route.integration, LambdaIntegration)
    }

    assert {name: serving[route_of(event)] for name, event in http_events(events).items()} == {
        name: folder_of(name) for name in http_events(events)
    }


def test_an_event_has_an_identity_where_its_route_asks_for_one(stack, events):
    guarded = {f"{route.method} {route.path}" for route in stack.api.routes if route.authorizer}
    for name, event in http_events(events).items():
        assert ("authorizer" in event["requestContext"]) == (route_of(event) in guarded), name


def test_an_events_path_is_its_resource_filled_in(events):
    for name, event in http_events(events).items():
        filled = re.sub(r"\{(\w+)\}", lambda found, event=event: event["pathParameters"][found[1]], event["resource"])
        assert event["path"] == filled, name


def test_every_http_event_gets_an_http_answer(events, auth, chat, conversation, documents, health, tools, web):
    functions = {"auth": auth, "chat": chat, "conversation": conversation, "documents": documents}
    functions |= {"health": health, "tools": tools, "web": web}
    for name, event in http_events(events).items():
        function = functions[folder_of(name)]
        assert function.invoke(event).status < 500, name


def test_the_authorizers_event_is_refused_as_the_gateway_expects(events, environment):
    from functions.authorizer.app import handler

    with pytest.raises(Exception, match=r"^Unauthorized$"):
        handler(events["authorizer_token"], None)


def test_the_events_of_summarize_are_worked_off(events, summarize):
    assert summarize.handler(events["summarize_batch"], Function.CONTEXT) == {"batchItemFailures": []}
    assert summarize.handler(events["summarize_schedule"], Function.CONTEXT)["failed"] == 0


def test_ingestions_event_is_worked_off(events, ingest):
    assert ingest.deliver(events["ingest_batch"]["Records"][0]["body"]) == []


def test_upkeeps_events_are_worked_off(events, upkeep):
    assert upkeep.handler(events["upkeep_batch"], Function.CONTEXT) == {"batchItemFailures": []}
    assert None not in upkeep.handler(events["upkeep_sweep"], Function.CONTEXT).values()


def test_the_tool_runners_events_list_tools_and_run_one(events, environment):
    from functions.toolrunner.app import handler

    assert {tool["name"] for tool in handler(events["toolrunner_list"], Function.CONTEXT)["tools"]} >= {"calculator", "weather"}
    assert handler(events["toolrunner_run"], Function.CONTEXT) == {"ok": True, "content": "105"}


def test_the_embedders_event_returns_a_vector_for_each_text(events, environment):
    from functions.embedder.app import handler

    assert len(handler(events["embedder_embed"], Function.CONTEXT)["vectors"]) == 2
