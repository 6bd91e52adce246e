"""Rotates the signing keys: by a schedule, and by hand when one may have leaked. Not a web function; needs only the key store."""

from dataclasses import asdict
from typing import Any

from functions.keys.rotation import RotationRequest, rotate
from parley.clock import utc_now
from parley.observability import logger
from parley.settings import KeySettings

settings = KeySettings.read()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Rotate, and return the names of the keys that were made and removed.

    `{}` is a rotation that nobody notices; `{"emergency": true}` ends every access token within a minute, and with
    `"api_keys": true` every API key too. Raises ValidationError for anything else.
    """
    request = RotationRequest.model_validate(event)
    done = asdict(rotate(settings.keys_path, at_once=request.at_once, now=utc_now()))
    logger.info("rotated the signing keys", emergency=request.emergency, **done)
    return done
