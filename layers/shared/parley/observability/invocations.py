"""The context of an invocation that is not an HTTP request: its correlation id, and the report of an error that ends it."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from parley.errors import ParleyError
from parley.observability.logs import begin_log_context, logger
from parley.observability.settings import settings
from parley.observability.traces import unit_of_work

type InvocationHandler[R] = Callable[[dict[str, Any], Any], R]

# The name of the field of an event, and of the attribute of an SQS message, that carries the correlation id.
CORRELATION_ID = "correlation_id"


def invocation_handler[R](handler: InvocationHandler[R]) -> InvocationHandler[R]:
    """Decorate the Lambda handler of a function that serves queues, schedules or other functions.

    The correlation id is the caller's, which is removed from the event, else Lambda's own request id. A batch of SQS messages sets the
    id of each message itself. An unexpected error is logged and raised again, so that Lambda retries.
    """

    @logger.inject_lambda_context
    @wraps(handler)
    def wrapper(event: dict[str, Any], context: Any) -> R:
        # An invocation by hand can carry any JSON value; the handler's own validation refuses it.
        fields = dict(event) if isinstance(event, dict) else {}
        begin_log_context(str(fields.pop(CORRELATION_ID, None) or context.aws_request_id))
        event = fields if isinstance(event, dict) else event
        try:
            if "Records" in fields:  # each message of a batch is a unit of work of its own
                return handler(event, context)
            with unit_of_work(f"invoke {settings.service}", kind="consumer"):
                return handler(event, context)
        except ParleyError:
            raise
        except Exception:
            logger.exception("invocation_failed")
            raise

    return wrapper


def message_correlation_id(record: dict[str, Any]) -> str | None:
    """Return the correlation id of an SQS record, or None if its sender set none, as S3 does."""
    return message_attribute(record, CORRELATION_ID)


def message_attribute(record: dict[str, Any], name: str) -> str | None:
    """Return an attribute of an SQS record, or None."""
    value: str | None = record.get("messageAttributes", {}).get(name, {}).get("stringValue")
    return value
