"""Identify the AWS service and the action of a request by its headers."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

type WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_CREDENTIAL_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")
_SERVICES_BY_TARGET = {"AmazonSSM": "ssm", "AmazonSQS": "sqs"}


@dataclass(frozen=True)
class AwsRequest:
    """The signing name of the service, and the action if a header names it.

    A request with neither an Authorization header nor an action is for S3, where presigned URLs and upload forms carry the
    signature elsewhere.
    """

    service: str
    call: str
    method: str

    @classmethod
    def of(cls, environ: Mapping[str, Any]) -> Self:
        """Return the service and the action of a WSGI request."""
        prefix, _, call = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")
        scope = _CREDENTIAL_SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        service = _SERVICES_BY_TARGET.get(prefix) or (scope[1] if scope else "other" if prefix else "s3")
        return cls(service, call, environ.get("REQUEST_METHOD", ""))

    @property
    def writes_objects(self) -> bool:
        """Whether the request may change objects or buckets in S3."""
        return self.service == "s3" and self.method in ("PUT", "POST", "DELETE")
