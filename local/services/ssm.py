"""Keeping SSM's parameters: every version, with its tags."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from moto.ssm.models import Parameter, SimpleSystemManagerBackend, ssm_backends

from local.folder import write_private
from local.services.asked import Asked

_FIELDS = ("description", "allowed_pattern", "keyid", "version", "data_type", "labels", "tier", "policies")
_READS = ("Get", "Describe", "List")


class SsmShelf:
    """Writes all parameters to one file at each change. They are in plain text: SecureString is not secret here."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def changes(self, environ: Mapping[str, Any]) -> bool:
        asked = Asked.of(environ)
        return asked.service == "ssm" and not asked.call.startswith(_READS)

    def save(self) -> None:
        regions = [_saved(account, region, backend) for account, regions in ssm_backends.items() for region, backend in regions.items()]
        write_private(self._path, json.dumps([region for region in regions if region["parameters"]], indent=1))

    def load(self) -> None:
        if not self._path.exists():
            return
        for region in json.loads(self._path.read_text()):
            _restore(region, ssm_backends[region["account"]][region["region"]])


def _saved(account: str, region: str, backend: SimpleSystemManagerBackend) -> dict[str, Any]:
    parameters = {name: [_version(one) for one in versions] for name, versions in backend._parameters.items() if versions}
    own = {name: versions for name, versions in parameters.items() if not name.startswith("/aws/service/")}
    return {"account": account, "region": region, "parameters": own, "tags": backend._resource_tags.get("Parameter", {})}


def _version(parameter: Parameter) -> dict[str, Any]:
    value = parameter.decrypt(parameter.value) if parameter.parameter_type == "SecureString" else parameter.value
    at = parameter.last_modified_date.isoformat()
    return {"value": value, "parameter_type": parameter.parameter_type, "at": at, **{name: getattr(parameter, name) for name in _FIELDS}}


def _restore(saved: dict[str, Any], backend: SimpleSystemManagerBackend) -> None:
    for name, versions in saved["parameters"].items():
        backend._parameters[name] = [_parameter(saved["account"], name, dict(one)) for one in versions]
    for name, tags in saved["tags"].items():
        backend._resource_tags["Parameter"][name] = tags


def _parameter(account: str, name: str, fields: dict[str, Any]) -> Parameter:
    at = datetime.fromisoformat(fields.pop("at"))
    return Parameter(account_id=account, name=name, last_modified_date=at, **fields)  # type: ignore[abstract]
