"""A snapshot of SSM: every version of every parameter, with its tags."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from moto.ssm.models import Parameter, SimpleSystemManagerBackend, ssm_backends

from local.data_dir import write_private
from local.services.fake_aws.request import AwsRequest

_SAVED_FIELDS = ("description", "allowed_pattern", "keyid", "version", "data_type", "labels", "tier", "policies")
_READ_CALLS = ("Get", "Describe", "List")


class SsmSnapshot:
    """Stores all parameters in one file, rewritten at each change. The values are plain text, SecureStrings included."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def changes(self, environ: Mapping[str, Any]) -> bool:
        request = AwsRequest.of(environ)
        return request.service == "ssm" and not request.call.startswith(_READ_CALLS)

    def save(self) -> None:
        regions = [
            _region_content(account, region, backend) for account, regions in ssm_backends.items() for region, backend in regions.items()
        ]
        write_private(self._path, json.dumps([region for region in regions if region["parameters"]], indent=1))

    def load(self) -> None:
        if not self._path.exists():
            return
        for region in json.loads(self._path.read_text()):
            _restore_region(region, ssm_backends[region["account"]][region["region"]])


def _region_content(account: str, region: str, backend: SimpleSystemManagerBackend) -> dict[str, Any]:
    parameters = {name: [_version_content(one) for one in versions] for name, versions in backend._parameters.items() if versions}
    own = {name: versions for name, versions in parameters.items() if not name.startswith("/aws/service/")}
    return {"account": account, "region": region, "parameters": own, "tags": backend._resource_tags.get("Parameter", {})}


def _version_content(parameter: Parameter) -> dict[str, Any]:
    value = parameter.decrypt(parameter.value) if parameter.parameter_type == "SecureString" else parameter.value
    at = parameter.last_modified_date.isoformat()
    return {
        "value": value,
        "parameter_type": parameter.parameter_type,
        "at": at,
        **{name: getattr(parameter, name) for name in _SAVED_FIELDS},
    }


def _restore_region(saved: dict[str, Any], backend: SimpleSystemManagerBackend) -> None:
    for name, versions in saved["parameters"].items():
        backend._parameters[name] = [_parameter_from(saved["account"], name, dict(one)) for one in versions]
    for name, tags in saved["tags"].items():
        backend._resource_tags["Parameter"][name] = tags


def _parameter_from(account: str, name: str, fields: dict[str, Any]) -> Parameter:
    at = datetime.fromisoformat(fields.pop("at"))
    return Parameter(account_id=account, name=name, last_modified_date=at, **fields)  # type: ignore[abstract]
