"""Translate SAM's serverless resources to plain CloudFormation with AWS's own translator."""

import contextlib
import copy
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.swagger import swagger
from samtranslator.translator.transform import transform

from local.template.errors import Problem
from local.template.pseudo import REGION
from local.template.source import Fragment, TemplateSource

_PACKAGED_CODE = "s3://local/build"
_CODE_PROPERTIES = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}
# This logger warns about metrics, which the emulator does not publish.
logging.getLogger("samtranslator.metrics.metrics").disabled = True
# For each route the translator copies the whole API definition twice, in Python, and replaces the original by the changed copy. Without
# copies it changes the original, which nothing else reads: for the product's template this takes a tenth of the time.
swagger._deepcopy = lambda definition: definition


def translate(source: TemplateSource, parameters: Mapping[str, str]) -> Fragment:
    """Return the template as CloudFormation receives it. Raises `TemplateInvalid` with the translator's reasons."""
    try:
        with _translator_region():
            translated: Fragment = transform(_packaged(source.content), dict(parameters), _NoManagedPolicies())
    except InvalidDocumentException as error:
        raise source.invalid(*(_translator_problem(source, cause) for cause in error.causes)) from error
    return translated


@contextlib.contextmanager
def _translator_region() -> Iterator[None]:
    """Set the region from which the translator derives the partition of its ARNs."""
    before = os.environ.get("AWS_DEFAULT_REGION")
    os.environ["AWS_DEFAULT_REGION"] = REGION
    try:
        yield
    finally:
        del os.environ["AWS_DEFAULT_REGION"]
        if before is not None:
            os.environ["AWS_DEFAULT_REGION"] = before


def _packaged(content: Fragment) -> Fragment:
    """Return a copy in which S3 addresses replace the local code folders, as after `sam package`."""
    packaged = copy.deepcopy(content)
    if "CodeUri" in (function := packaged.get("Globals", {}).get("Function", {})):
        function["CodeUri"] = _PACKAGED_CODE
    for resource in packaged["Resources"].values():
        key = _CODE_PROPERTIES.get(resource["Type"])
        if key and key in (resource.get("Properties") or {}):
            resource["Properties"][key] = _PACKAGED_CODE
    return packaged


def _translator_problem(source: TemplateSource, cause: Any) -> Problem:
    name = getattr(cause, "_logical_id", None)
    message = str(cause.message)
    if name is None:
        return Problem("template", None, message)
    message = message.removeprefix(f"Resource with id [{name}] is invalid. ")
    return source.problem(name, message)


class _NoManagedPolicies:
    """A lookup of AWS's managed policies that finds none, because a real lookup needs an AWS account."""

    def load(self) -> dict[str, str]:
        return {}
