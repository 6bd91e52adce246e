"""Verify the signatures of requests to the AWS stand-in, in a header, a presigned URL or an upload form.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

import base64
import binascii
import hmac
import io
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from botocore.auth import S3SigV4Auth, S3SigV4PostAuth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.services.aws_signature import AwsCredentials

_SCOPE = re.compile(r"([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request")
_HEADER = re.compile(rf"AWS4-HMAC-SHA256 Credential=({_SCOPE.pattern}), ?SignedHeaders=([^,\s]+), ?Signature=([0-9a-f]{{64}})")
_TIMESTAMP = "%Y%m%dT%H%M%SZ"
_MAX_SKEW = timedelta(minutes=15)
REMEDY = "Sign requests with the credentials in the data folder's file aws-credentials."


class SignatureRefused(Exception):
    """The request carries no valid signature; the message is for the developer."""


class SignatureCheck:
    """Verifies requests against the credentials of this run."""

    def __init__(self, credentials: AwsCredentials, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._access_key_id = credentials.aws_access_key_id
        self._credentials = Credentials(credentials.aws_access_key_id, credentials.aws_secret_access_key)
        self._now = now

    def check(self, environ: dict[str, Any]) -> None:
        """Raise `SignatureRefused` unless the request has a valid signature. The body can still be read afterwards."""
        if authorization := environ.get("HTTP_AUTHORIZATION"):
            method, target = environ["REQUEST_METHOD"], environ["RAW_URI"]
            self.check_header(authorization, method=method, target=target, header=partial(_header, environ), body=partial(_body, environ))
        elif is_presigned(environ):
            self._check_query(environ)
        elif is_form(environ):
            self._check_form(environ)
        else:
            raise SignatureRefused("The request is not signed.")

    def check_header(
        self, authorization: str, *, method: str, target: str, header: Callable[[str], str], body: Callable[[], bytes]
    ) -> None:
        """Raise `SignatureRefused` unless `authorization` signs the request. `header` returns a header by its lower-case name."""
        match = _HEADER.fullmatch(authorization.strip())
        if match is None:
            raise SignatureRefused("The Authorization header is not a Signature Version 4.")
        scope, names, signature = match[1], match[6].split(";"), match[7]
        region, service = self._scope(scope)
        timestamp = header("x-amz-date")
        if abs(self._now() - _time(timestamp)) > _MAX_SKEW:
            raise SignatureRefused("The signature is older than 15 minutes or from the future.")
        content = b"" if "x-amz-content-sha256" in names else body()
        signer = S3SigV4Auth if service == "s3" else SigV4Auth
        signed = _signed_part(method, target, {name: header(name) for name in names}, body=content)
        _verify(signer(self._credentials, service, region), signed, timestamp, signature)

    def _check_query(self, environ: dict[str, Any]) -> None:
        query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
        region, service = self._scope(query.get("X-Amz-Credential", ""))
        timestamp, lifetime = query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", "")
        if not lifetime.isdecimal() or self._now() > _time(timestamp) + timedelta(seconds=int(lifetime)):
            raise SignatureRefused("The presigned URL has expired.")
        signer = S3SigV4QueryAuth(self._credentials, service, region)
        headers = {name: _header(environ, name) for name in query.get("X-Amz-SignedHeaders", "").split(";")}
        signed = _signed_part(environ["REQUEST_METHOD"], environ["RAW_URI"], headers)
        _verify(signer, signed, timestamp, query.get("X-Amz-Signature", ""))

    def _check_form(self, environ: dict[str, Any]) -> None:
        """Check the signature and the expiry of an upload form's policy. Neither this check nor moto enforces the policy's conditions."""
        fields = _form_fields(environ)
        region, service = self._scope(fields.get("x-amz-credential", ""))
        policy, timestamp = fields.get("policy", ""), fields.get("x-amz-date", "")
        signer = S3SigV4PostAuth(self._credentials, service, region)
        request = AWSRequest()
        request.context["timestamp"] = timestamp
        _compare(signer.signature(policy, request), fields.get("x-amz-signature", ""))
        if self._now() > _expiration(policy):
            raise SignatureRefused("The form has expired.")

    def _scope(self, scope: str) -> tuple[str, str]:
        """Return the region and the service in a credential scope. Raises `SignatureRefused` unless the access key is this run's."""
        match = _SCOPE.fullmatch(scope)
        if match is None or not hmac.compare_digest(match[1].encode(), self._access_key_id.encode()):
            raise SignatureRefused("The access key is not the one of this run of the stack.")
        return match[3], match[4]


def is_presigned(environ: Mapping[str, Any]) -> bool:
    """Return whether the URL carries a signature."""
    return "X-Amz-Signature=" in environ.get("QUERY_STRING", "")


def is_form(environ: Mapping[str, Any]) -> bool:
    """Return whether the request submits an upload form to a bucket."""
    is_multipart = str(environ.get("CONTENT_TYPE", "")).startswith("multipart/form-data")
    return is_multipart and environ["REQUEST_METHOD"] == "POST" and names_bucket(environ)


def names_bucket(environ: Mapping[str, Any]) -> bool:
    """Return whether the path names a bucket, not an object in it."""
    return re.fullmatch(r"/[a-z0-9][a-z0-9.-]*/?", environ["PATH_INFO"]) is not None


def _verify(signer: SigV4Auth, request: AWSRequest, timestamp: str, signature: str) -> None:
    """Raise `SignatureRefused` unless `signer` computes this signature for the request."""
    request.context["timestamp"] = timestamp
    _compare(signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request), signature)


def _compare(expected: str, signature: str) -> None:
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise SignatureRefused("The signature does not match.")


def _signed_part(method: str, target: str, headers: Mapping[str, str], *, body: bytes = b"") -> AWSRequest:
    """Return the signed part of a request: the method, the raw URL without the signature, the signed headers, and the body."""
    path, _, query = target.partition("?")
    pairs = "&".join(pair for pair in query.split("&") if not pair.startswith("X-Amz-Signature="))
    return AWSRequest(method=method, url=f"http://{headers.get('host', '')}{path}?{pairs}", data=body, headers=dict(headers))


def _header(environ: Mapping[str, Any], name: str) -> str:
    if name == "host":
        # A port forward puts the Host header that the client signed into X-Forwarded-Host.
        return str(environ.get("HTTP_X_FORWARDED_HOST") or environ.get("HTTP_HOST", ""))
    key = name.upper().replace("-", "_")
    return str(environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}", ""))


def _body(environ: dict[str, Any]) -> bytes:
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _form_fields(environ: dict[str, Any]) -> dict[str, str]:
    # Imported here: the emulator's process uses this module for the queues, which have no forms.
    from werkzeug.formparser import parse_form_data

    body = _body(environ)
    _, fields, _ = parse_form_data({**environ, "wsgi.input": io.BytesIO(body)})
    return {name.lower(): value for name, value in fields.items()}


def _expiration(policy: str) -> datetime:
    try:
        return datetime.fromisoformat(json.loads(base64.b64decode(policy))["expiration"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise SignatureRefused("The policy of the form is malformed.") from error


def _time(timestamp: str) -> datetime:
    try:
        return datetime.strptime(timestamp, _TIMESTAMP).replace(tzinfo=UTC)
    except ValueError as error:
        raise SignatureRefused("The request has no valid X-Amz-Date.") from error
