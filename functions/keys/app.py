"""Rotates the signing keys: on a schedule, and by hand if a key may have leaked. Uses only the key store, no database."""

from dataclasses import asdict
from typing import Any

from functions.keys.rotation import RotationRequest, rotate
from parley.clock import utc_now
from parley.observability import logger
from parley.observability.invocations import invocation_handler
from parley.settings import KeySettings

settings = KeySettings.read()


@invocation_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Rotate the keys and return the names of the created (`made`) and deleted (`removed`) keys.

    The event `{}` invalidates no token. `{"emergency": true}` invalidates every access token within a minute, and with
    `"api_keys": true` every API key too. Raises ValidationError for any other event.
    """
    request = RotationRequest.model_validate(event)
    done = asdict(rotate(settings.keys_path, revoked_families=request.revoked_families, now=utc_now()))
    logger.info("signing_keys_rotated", emergency=request.emergency, **done)
    return done
