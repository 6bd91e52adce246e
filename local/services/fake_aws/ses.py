"""Stored state of SES: a snapshot of the verified identities, and a file for every mail that was sent."""

import base64
import io
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from moto.ses.models import ses_backends

from local.data_dir import write_private
from local.services.fake_aws.request import AwsRequest, WsgiApp
from local.template.pseudo import ACCOUNT, REGION

_SEND_PATH = "/v2/email/outbound-emails"
_IDENTITIES_PATH = "/v2/email/identities"


class SesSnapshot:
    """Stores the verified addresses and domains."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def changes(self, environ: Mapping[str, Any]) -> bool:
        request = AwsRequest.of(environ)
        return request.service == "ses" and request.method != "GET" and str(environ.get("PATH_INFO")).startswith(_IDENTITIES_PATH)

    def save(self) -> None:
        write_private(self._path, json.dumps(list(ses_backends[ACCOUNT][REGION].email_identities)))

    def load(self) -> None:
        for identity in json.loads(self._path.read_text()) if self._path.exists() else ():
            ses_backends[ACCOUNT][REGION].create_email_identity_v2(identity, None, None, None)


class MailRecorder:
    """A WSGI middleware that stores a file for each mail that SES accepts, because moto keeps only a part of a mail."""

    def __init__(self, app: WsgiApp, folder: Path) -> None:
        self._app = app
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != _SEND_PATH or environ["REQUEST_METHOD"] != "POST":
            return self._app(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        answer = b"".join(self._app(environ, start_response))
        if b'"MessageId"' in answer:
            self._record(json.loads(body), json.loads(answer)["MessageId"])
        return [answer]

    def _record(self, sent: dict[str, Any], mail_id: str) -> None:
        at = datetime.now(UTC)
        mail = {"id": mail_id, "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), **_mail_fields(sent)}
        # Named by time down to the microsecond, so that file names sort by time of sending.
        name = f"{at:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}.json"
        write_private(self._folder / name, json.dumps(mail, ensure_ascii=False))


def _mail_fields(sent: dict[str, Any]) -> dict[str, Any]:
    """Return sender, recipients, subject and text of a SendEmail request."""
    destination = sent.get("Destination", {})
    to = [address for kind in ("ToAddresses", "CcAddresses", "BccAddresses") for address in destination.get(kind, [])]
    simple = sent["Content"].get("Simple")
    if simple is None:
        return _raw_mail_fields(sent, to)
    body = simple["Body"]
    text = (body.get("Text") or body.get("Html") or {}).get("Data", "")
    return {"from": sent.get("FromEmailAddress", ""), "to": to, "subject": simple["Subject"]["Data"], "text": text}


def _raw_mail_fields(sent: dict[str, Any], to: list[str]) -> dict[str, Any]:
    message = message_from_bytes(base64.b64decode(sent["Content"]["Raw"]["Data"]), EmailMessage, policy=policy.default)
    part = message.get_body(("plain", "html"))
    sender = sent.get("FromEmailAddress") or str(message["From"])
    return {
        "from": sender,
        "to": to or [str(message["To"])],
        "subject": str(message["Subject"] or ""),
        "text": part.get_content() if part else "",
    }
