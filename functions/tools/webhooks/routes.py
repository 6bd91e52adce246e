"""The routes of web hooks. They need a login, so that a leaked API key cannot send events elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, Field

from functions.tools.schemas import URL_PATTERN
from functions.tools.services import ToolsServices, ToolsServicesDep
from parley.auth.webhook_signatures import new_secret, secret_context
from parley.db.engine import Connection
from parley.db.transactions import lock_until_end
from parley.db.webhooks import deliveries, webhooks
from parley.db.webhooks.deliveries import DeliveryStatus
from parley.db.webhooks.webhooks import MAX_WEBHOOKS, Webhook, WebhookEvent
from parley.errors import IdempotencyKeyReused, NotFound, ParleyError
from parley.http.dependencies import CurrentPrincipal, Transaction, requires
from parley.http.idempotency import IdempotencyHeader
from parley.http.lazy_routes import LazyRoute
from parley.http.paging import Listing, Page
from parley.http.problems import error_responses
from parley.http.schemas import Input, Output, Timestamp
from parley.ids import new_id


class TooManyWebhooks(ParleyError):
    """The user has as many web hooks as are allowed."""

    status, code = 409, "too_many_webhooks"
    public_message = f"You have {MAX_WEBHOOKS} web hooks. Delete one before you make another."


@dataclass(frozen=True, slots=True)
class SecretWebhook:
    """A web hook with its new secret, which only this response contains."""

    webhook: Webhook
    secret: str


def _once_each(events: list[WebhookEvent]) -> list[WebhookEvent]:
    return list(dict.fromkeys(events))


Events = Annotated[list[WebhookEvent], Field(min_length=1, max_length=20, examples=[["budget.warning"]]), AfterValidator(_once_each)]


class WebhookIn(Input):
    """POST /webhooks. The address must be public; it receives the events by POST."""

    url: Annotated[str, Field(max_length=2000, pattern=URL_PATTERN, examples=["https://example.com/hook"])]
    events: Events


class WebhookChange(Input):
    """PATCH /webhooks/{id}. Omitted fields stay unchanged."""

    events: Events | None = None
    enabled: bool | None = None


class WebhookOut(Output):
    """A web hook. It is disabled at `disabled_at`, by its owner or because `failures` deliveries in a row were given up."""

    id: UUID
    url: str
    events: list[WebhookEvent]
    failures: int
    disabled_at: Timestamp | None
    created_at: Timestamp


class SecretWebhookOut(WebhookOut):
    """A web hook with a new secret, which signs every event as Standard Webhooks defines. A repeated request gets no secret."""

    secret: str | None = None

    @classmethod
    def of(cls, new: SecretWebhook) -> "SecretWebhookOut":
        """Render a web hook with its secret."""
        return cls(**WebhookOut.model_validate(new.webhook).model_dump(), secret=new.secret)


class DeliveryOut(Output):
    """An event that was sent, or is to be sent, to a web hook. A pending delivery is attempted again at `due_at`."""

    id: UUID
    type: WebhookEvent
    status: DeliveryStatus
    attempts: int
    due_at: Timestamp
    response_status: int | None
    error: str | None
    created_at: Timestamp


webhooks_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("account"))])


@webhooks_router.post(
    "/webhooks", status_code=201, response_model=SecretWebhookOut, responses=error_responses(TooManyWebhooks, IdempotencyKeyReused)
)
def add(
    body: WebhookIn, services: ToolsServicesDep, principal: CurrentPrincipal, transaction: Transaction, idempotency: IdempotencyHeader
) -> BaseModel | dict[str, Any]:
    """Add a web hook. The response has the secret by which the receiver verifies events; it is shown once."""
    user_id = principal.user_id
    request = idempotency.request("POST /webhooks", body, render=SecretWebhookOut.of, secrets={"secret"})
    return request.run_once(
        transaction, user_id, lambda: _add_webhook(services, transaction, user_id=user_id, url=body.url, events=body.events)
    ).response


@webhooks_router.get("/webhooks")
def list_webhooks(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[WebhookOut]:
    """List the user's web hooks, newest first."""
    rows = webhooks.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=page.after_id())
    return page.listing(rows, to_item=WebhookOut.model_validate, key=lambda row: [row.id])


@webhooks_router.patch("/webhooks/{id}", responses=error_responses(NotFound))
def change(id: UUID, body: WebhookChange, principal: CurrentPrincipal, transaction: Transaction) -> WebhookOut:
    """Change the events of a web hook, or disable or enable it."""
    changed = webhooks.change(transaction, id, user_id=principal.user_id, events=body.events, is_enabled=body.enabled)
    return WebhookOut.model_validate(changed)


@webhooks_router.delete("/webhooks/{id}", status_code=204, responses=error_responses(NotFound))
def remove(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> None:
    """Delete a web hook and the log of its deliveries. Events that wait for it are not sent."""
    webhooks.remove(transaction, id, user_id=principal.user_id)


@webhooks_router.post("/webhooks/{id}/rotate-secret", responses=error_responses(NotFound))
def rotate(id: UUID, services: ToolsServicesDep, principal: CurrentPrincipal, transaction: Transaction) -> SecretWebhookOut:
    """Replace the secret of a web hook. For 24 hours, events are signed with both secrets."""
    return SecretWebhookOut.of(_rotate_secret(services, transaction, id, user_id=principal.user_id))


@webhooks_router.get("/webhooks/{id}/deliveries", responses=error_responses(NotFound))
def list_deliveries(id: UUID, principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[DeliveryOut]:
    """List the deliveries to a web hook of the last seven days, newest first. Budget warnings are kept for 32 days."""
    user_id = principal.user_id
    webhooks.get(transaction, id, user_id=user_id)
    rows = deliveries.page(transaction, id, user_id=user_id, limit=page.limit + 1, after=page.after_id())
    return page.listing(rows, to_item=DeliveryOut.model_validate, key=lambda row: [row.id])


def _add_webhook(
    services: ToolsServices, connection: Connection, *, user_id: UUID, url: str, events: Sequence[WebhookEvent]
) -> SecretWebhook:
    """Store a web hook with a new secret. Raises TooManyWebhooks."""
    lock_until_end(connection, f"webhooks of {user_id}")
    if webhooks.count(connection, user_id=user_id) >= MAX_WEBHOOKS:
        raise TooManyWebhooks(f"user {user_id} has {MAX_WEBHOOKS} web hooks")
    webhook_id, secret = new_id(), new_secret()
    encrypted = _encrypt(services, secret, webhook_id, user_id=user_id)
    return SecretWebhook(webhooks.add(connection, webhook_id, user_id=user_id, url=url, events=events, secret=encrypted), secret)


def _rotate_secret(services: ToolsServices, connection: Connection, webhook_id: UUID, *, user_id: UUID) -> SecretWebhook:
    """Give a web hook a new secret. The replaced secret also signs for 24 hours. Raises NotFound."""
    secret = new_secret()
    encrypted = _encrypt(services, secret, webhook_id, user_id=user_id)
    return SecretWebhook(webhooks.rotate_secret(connection, webhook_id, user_id=user_id, secret=encrypted), secret)


def _encrypt(services: ToolsServices, secret: str, webhook_id: UUID, *, user_id: UUID) -> bytes:
    return services.mcp_registry.cipher.encrypt(secret, context=secret_context(webhook_id, user_id=user_id))
