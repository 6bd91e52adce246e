"""Notifications of buckets: moto would put them into its own queues, and here they go to the emulator's."""

import http.client
import json
import logging
import time
import urllib.parse
from typing import Any

import moto.s3.notifications

from local.services.aws_signature import AwsCredentials, signed_headers
from local.template.pseudo import ACCOUNT

_HEADERS = {"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"}
_ATTEMPTS = 3
_PAUSE_S = 0.1
_TIMEOUT_S = 10


class NotificationSender:
    """Sends events to the queues at `queues_url`. A failed event is logged; as on AWS, it does not fail the upload."""

    def __init__(self, queues_url: str, credentials: AwsCredentials) -> None:
        self._url = queues_url
        self._address = urllib.parse.urlsplit(queues_url).netloc
        self._credentials = credentials

    def install(self) -> None:
        """Replace moto's function, which every notification passes through."""
        vars(moto.s3.notifications)["_send_sqs_message"] = self.send

    def send(self, _account: str, event_body: Any, queue_name: str, _region: str) -> None:
        """Send an event to a queue. The parameters are those of moto's function."""
        fields = {"QueueUrl": f"{self._url}/{ACCOUNT}/{queue_name}", "MessageBody": json.dumps(event_body)}
        body = json.dumps(fields).encode()
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._post(body)
            except (OSError, http.client.HTTPException) as error:
                logging.getLogger(__name__).error("cannot notify %s (attempt %d): %s", queue_name, attempt, error)
                time.sleep(_PAUSE_S * attempt)
        return None

    def _post(self, body: bytes) -> None:
        signed = signed_headers(self._credentials, service="sqs", method="POST", url=f"{self._url}/", body=body, headers=_HEADERS)
        connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_S)
        try:
            connection.request("POST", "/", body, signed)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise http.client.HTTPException(f"status {answer.status}: {content.decode(errors='replace')}")
