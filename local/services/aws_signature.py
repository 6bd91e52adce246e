"""The stack's AWS credentials, and Signature Version 4 for the emulator's own calls."""

import secrets
from collections.abc import Mapping
from configparser import ConfigParser
from dataclasses import asdict, dataclass, field
from typing import Self

from local.template.pseudo import REGION


@dataclass(frozen=True)
class AwsCredentials:
    """The access key that the AWS stand-in accepts. Each run of the stack has its own."""

    aws_access_key_id: str
    aws_secret_access_key: str = field(repr=False)

    @classmethod
    def create(cls) -> Self:
        """Return random credentials."""
        return cls(f"LOCAL{secrets.token_hex(8).upper()}", secrets.token_urlsafe(32))

    @classmethod
    def read(cls, shared_file: str) -> Self:
        """Return the credentials of a shared credentials file."""
        parser = ConfigParser(interpolation=None)
        parser.read_string(shared_file)
        return cls(**parser["default"])

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables in which the AWS SDKs look for credentials."""
        return {name.upper(): str(value) for name, value in asdict(self).items()}

    @property
    def shared_file(self) -> str:
        """The content of a shared credentials file, for `AWS_SHARED_CREDENTIALS_FILE`."""
        lines = [f"{name} = {value}" for name, value in asdict(self).items()]
        return "\n".join(["[default]", *lines]) + "\n"


def signed_headers(
    credentials: AwsCredentials, *, service: str, method: str, url: str, body: bytes, headers: Mapping[str, str]
) -> dict[str, str]:
    """Return `headers` with a signature for the service added. The signature is valid for 15 minutes."""
    from botocore.auth import S3SigV4Auth, SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(Credentials(credentials.aws_access_key_id, credentials.aws_secret_access_key), service, REGION).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}
