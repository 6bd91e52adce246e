"""Imports of large packages during a request."""

import gc
import subprocess
import sys

import pytest

from parley.late_imports import uncollected

CODE = """
import sys
from parley.aws.client import aws_client
aws_client("sqs", read_timeout_s=3, region_name="eu-west-1")
print({"boto3", "botocore.session"} & sys.modules.keys())
"""


def test_garbage_is_collected_again_after_an_import():
    with uncollected():
        assert not gc.isenabled()

    assert gc.isenabled()


def test_an_import_that_fails_leaves_the_collector_on():
    with pytest.raises(ImportError), uncollected():
        raise ImportError

    assert gc.isenabled()


def test_a_cold_start_keeps_the_collector_off():
    gc.disable()
    try:
        with uncollected():
            pass
        is_on = gc.isenabled()
    finally:
        gc.enable()

    assert not is_on


def test_a_client_of_aws_needs_no_boto3():
    variables = {"POWERTOOLS_SERVICE_NAME": "t"}
    done = subprocess.run([sys.executable, "-c", CODE], env=variables, capture_output=True, check=True, text=True)

    assert done.stdout.strip() == "{'botocore.session'}"
