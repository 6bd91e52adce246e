"""The deployment's requests to the migrate function, and its responses at the presigned URL."""

import time
from types import SimpleNamespace

import pytest

from functions.migrate import custom_resource
from functions.migrate.custom_resource import MAX_REASON_CHARACTERS, ResourceEvent, answer, failure_reason
from tests.fakes.cloudformation import STACK
from tests.shared.db.test_schema import NEWEST
from tests.support.api_gateway import Function
from tests.support.time_limits import HANG_S

CONTEXT = SimpleNamespace(**vars(Function.CONTEXT) | {"get_remaining_time_in_millis": lambda: 900_000})


@pytest.fixture
def deploy(cloudformation, on_test_database, database):
    """Handle an event and return the only response."""

    def run(kind, **releases):
        on_test_database.handler(cloudformation.event(kind, **releases), CONTEXT)
        (response,) = cloudformation.responses
        return response

    return run


def unreachable(app, monkeypatch):
    """Direct the function to a port where no database listens."""
    monkeypatch.setenv("PARLEY_DATABASE_PORT", "9")
    app.settings.cache_clear()


def test_a_new_stack_is_told_the_revision(deploy, cloudformation):
    response = deploy("Create", release=1)

    assert (response["Status"], response["StackId"], response["Data"]["revision_after"]) == ("SUCCESS", STACK, NEWEST)
    # The URL is signed for a request without a content type.
    assert cloudformation.content_types == [""]


def test_an_update_keeps_the_physical_id(deploy, cloudformation):
    response = deploy("Update", release=2, old_release=1)

    assert response["PhysicalResourceId"] == cloudformation.event("Update", release=2)["PhysicalResourceId"]


def test_an_unreachable_database_fails_the_deployment_in_one_line(deploy, on_test_database, monkeypatch):
    unreachable(on_test_database, monkeypatch)
    response = deploy("Update", release=2, old_release=1)

    assert response["Status"] == "FAILED"
    assert "connection failed" in response["Reason"]
    assert "\n" not in response["Reason"]


def test_an_invalid_setting_fails_the_deployment(deploy, on_test_database, monkeypatch):
    monkeypatch.setenv("PARLEY_DATABASE_PORT", "none")
    on_test_database.settings.cache_clear()

    assert "database_port" in deploy("Create", release=1)["Reason"]


def test_a_rollback_succeeds_without_the_database(deploy, on_test_database, monkeypatch):
    unreachable(on_test_database, monkeypatch)

    assert deploy("Update", release=9, old_release=10)["Status"] == "SUCCESS"


def test_deleting_the_stack_touches_nothing(deploy, on_test_database, monkeypatch):
    unreachable(on_test_database, monkeypatch)

    assert deploy("Delete", release=1)["Status"] == "SUCCESS"


def test_a_response_is_sent_again_if_s3_refuses_it(deploy, cloudformation, monkeypatch):
    monkeypatch.setattr(custom_resource.time, "sleep", lambda _: None)
    cloudformation.failures = 2

    assert deploy("Create", release=1)["Status"] == "SUCCESS"


def test_a_migration_that_takes_too_long_fails_the_deployment_once(cloudformation):
    event = ResourceEvent.model_validate(cloudformation.event("Create", release=1))

    def migrate():
        ends_s = time.monotonic() + HANG_S
        while not cloudformation.responses and time.monotonic() < ends_s:
            time.sleep(0.01)
        return {}

    answer(event, migrate, timeout_s=0.05)

    (response,) = cloudformation.responses
    assert (response["Status"], "Deploy again" in response["Reason"]) == ("FAILED", True)


def test_a_reason_is_short_and_without_line_breaks():
    reason = failure_reason(ValueError("a\nb" * 5000))

    assert (len(reason) <= MAX_REASON_CHARACTERS, "\n" in reason) == (True, False)
