"""The addresses of AWS's services in a VPC that reaches the internet by IPv6 only."""

import pytest

from parley.aws import s3
from parley.aws.client import aws_client

# The services that functions in the VPC call, beside S3.
SERVICES = ["lambda", "rds-data", "secretsmanager", "sesv2", "sqs", "ssm"]


@pytest.fixture
def over_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what the template sets with `Egress=Ipv6`, without the stand-in of AWS."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", "true")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.usefixtures("over_ipv6")
def test_services_are_called_by_names_with_ipv6_addresses(service):
    # The other names, such as rds-data.eu-west-1.amazonaws.com, have IPv4 addresses only:
    # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/data-api.ipv6.html
    assert aws_client(service, read_timeout_s=1).meta.endpoint_url.endswith(".eu-west-1.api.aws")


@pytest.mark.usefixtures("over_ipv6")
def test_an_upload_goes_to_the_host_that_the_pages_policy_names():
    s3._client.cache_clear()
    try:
        form = s3.FileStore("parley-files").upload("documents/1", media_type="text/plain", size=1, lifetime_s=60)
    finally:
        s3._client.cache_clear()

    assert form.url == "https://parley-files.s3.eu-west-1.amazonaws.com/"
