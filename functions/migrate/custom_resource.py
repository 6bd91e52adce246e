"""Events of a CloudFormation custom resource, and the response that CloudFormation waits for.

See https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html.
"""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, Literal

from pydantic import BaseModel, Field

from parley.errors import ParleyError
from parley.observability import logger

TIMEOUT_REASON = "The migration took too long. Deploy again: it continues where it stopped."
# CloudFormation accepts 4,096 bytes for the whole response.
MAX_REASON_CHARACTERS = 1000
RESPONSE_ATTEMPTS = 5
RESPONSE_TIMEOUT_S = 10
# Kept for the response, at the end of the invocation.
RESPONSE_RESERVE_S = 30


class ResourceEvent(BaseModel):
    """A request of CloudFormation. The fields have AWS's names."""

    type: Literal["Create", "Update", "Delete"] = Field(alias="RequestType")
    response_url: str = Field(alias="ResponseURL")
    stack_id: str = Field(alias="StackId")
    request_id: str = Field(alias="RequestId")
    logical_id: str = Field(alias="LogicalResourceId")
    physical_id: str | None = Field(alias="PhysicalResourceId", default=None)
    properties: dict[str, Any] = Field(alias="ResourceProperties", default={})
    old_properties: dict[str, Any] = Field(alias="OldResourceProperties", default={})

    @property
    def is_rollback(self) -> bool:
        """Whether CloudFormation restores the release that ran before.

        The property `Release` is the ARN of the layer, which ends in a version number that grows with each release.
        """
        release, old_release = (_version(values.get("Release")) for values in (self.properties, self.old_properties))
        return self.type == "Update" and release is not None and old_release is not None and release < old_release


def is_resource_event(event: Mapping[str, Any]) -> bool:
    """Return whether the event comes from CloudFormation, not from a direct invocation."""
    return "RequestType" in event and "ResponseURL" in event


def answer(event: ResourceEvent, migrate: Callable[[], Mapping[str, Any]], *, timeout_s: float) -> None:
    """Run `migrate` for a new or changed resource, and send the result or the reason of a failure to CloudFormation.

    Deleting the resource changes nothing, and neither does a rollback: the restored release migrated this database when it
    was deployed, so the rollback of a deployment succeeds even while the database is away. A migration that is not done after
    `timeout_s` counts as failed: CloudFormation would wait for an hour for a function that Lambda has ended.
    """
    response = _Response(event)
    if event.type == "Delete" or event.is_rollback:
        logger.info("migration_skipped", request=event.type, is_rollback=event.is_rollback)
        return response.send("SUCCESS")
    alarm = threading.Timer(timeout_s, response.send, ("FAILED", f"{TIMEOUT_REASON} ({timeout_s:.0f} s)"))
    alarm.start()
    try:
        done = migrate()
    except Exception as exc:
        logger.exception("migration_failed", reason=failure_reason(exc))
        return response.send("FAILED", failure_reason(exc))
    finally:
        alarm.cancel()
    return response.send("SUCCESS", data={name: value for name, value in done.items() if isinstance(value, str)})


def failure_reason(error: Exception) -> str:
    """Return one line that says why a migration failed, without the statement and without values of rows."""
    cause = getattr(error, "orig", None) or error
    # PostgreSQL's primary message names tables and constraints; its detail may repeat a row.
    text = getattr(getattr(cause, "diag", None), "message_primary", None) or str(cause)
    name = type(cause).__name__
    if isinstance(error, ParleyError) and error.__cause__ is not None:
        text = f"{text} ({type(error.__cause__).__name__})"
    return " ".join(f"{name}: {text}".split())[:MAX_REASON_CHARACTERS]


class _Response:
    """The response to one event. CloudFormation accepts only the first."""

    def __init__(self, event: ResourceEvent) -> None:
        self._event = event
        self._lock = threading.Lock()
        self._is_sent = False

    def send(self, status: Literal["SUCCESS", "FAILED"], reason: str = "", data: Mapping[str, str] | None = None) -> None:
        """Send the response unless another one was sent. Raises OSError or HTTPException if CloudFormation cannot be reached."""
        with self._lock:
            if not self._is_sent:
                self._is_sent = True
                _put_with_retries(self._event.response_url, self._body(status, reason, data or {}))

    def _body(self, status: str, reason: str, data: Mapping[str, str]) -> bytes:
        event = self._event
        response = {
            "Status": status,
            "Reason": reason,
            # The same for every request of a resource: another id would make CloudFormation delete the previous one.
            "PhysicalResourceId": event.physical_id or f"{event.logical_id}-of-{event.stack_id.rpartition('/')[2]}",
            "StackId": event.stack_id,
            "RequestId": event.request_id,
            "LogicalResourceId": event.logical_id,
            "Data": data,
        }
        return json.dumps(response).encode()


def _put_with_retries(url: str, body: bytes) -> None:
    for attempt in range(1, RESPONSE_ATTEMPTS + 1):
        try:
            _put(url, body)
            return
        except (OSError, HTTPException) as exc:
            logger.warning("resource_response_failed", attempt=attempt, reason=_without_address(exc))
            if attempt == RESPONSE_ATTEMPTS:
                raise
            time.sleep(2 ** (attempt - 1))


def _put(url: str, body: bytes) -> None:
    # The presigned URL is signed for an empty content type.
    request = urllib.request.Request(url, data=body, method="PUT", headers={"Content-Type": ""})  # noqa: S310 (from CloudFormation)
    with urllib.request.urlopen(request, timeout=RESPONSE_TIMEOUT_S):  # noqa: S310
        pass


def _without_address(error: Exception) -> str:
    # The URL carries a signature that is valid for hours.
    return f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else type(error).__name__


def _version(release: object) -> int | None:
    number = str(release).rpartition(":")[2]
    return int(number) if number.isdigit() else None
