"""Signs events and posts them to web hooks through the tool runner, which may reach the internet and has no database."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID

from parley.auth.encryption import DecryptionFailed, TextCipher
from parley.auth.webhook_signatures import secret_context, signed_headers
from parley.clock import rfc3339, utc_now
from parley.db.webhooks.deliveries import ClaimedDelivery
from parley.db.webhooks.webhooks import WebhookTarget
from parley.tools.invoker import RunnerFailed

_TIMEOUT_S = 8.0


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The answer of a web hook: its status, or the reason why there is none. Statuses from 200 to 299 are a success."""

    status: int | None = None
    error: str | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver accepted the event."""
        return self.status is not None and HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


@dataclass(frozen=True, slots=True)
class WebhookClient:
    """Posts events to web hooks. `ask` sends a request to the tool runner; `cipher` decrypts the secrets."""

    ask: Callable[..., Mapping[str, Any]]
    cipher: TextCipher

    def post(self, delivery: ClaimedDelivery, target: WebhookTarget, *, user_id: UUID) -> DeliveryResult:
        """Post an event once. Every failure is a result, but Unavailable is raised if the key of the secrets cannot be read."""
        body = json.dumps({"type": delivery.type, "timestamp": rfc3339(delivery.created_at), "data": delivery.data}, ensure_ascii=False)
        try:
            secrets = self._decrypt(target.secrets, delivery.webhook_id, user_id=user_id)
        except DecryptionFailed:
            return DeliveryResult(error="The secret cannot be decrypted. Rotate it.")
        headers = signed_headers(secrets, str(delivery.id), body, at=utc_now())
        request = {"op": "post_event", "url": target.url, "headers": headers, "body": body, "timeout_s": _TIMEOUT_S}
        try:
            response = self.ask(request, timeout_s=_TIMEOUT_S)
        except RunnerFailed as exc:
            return DeliveryResult(error=exc.public_message)
        if "error" in response:
            return DeliveryResult(error=str(response["error"]))
        return DeliveryResult(int(response["status"]))

    def _decrypt(self, secrets: Sequence[bytes], webhook_id: UUID, *, user_id: UUID) -> list[str]:
        context = secret_context(webhook_id, user_id=user_id)
        return [self.cipher.decrypt(secret, context=context) for secret in secrets]
