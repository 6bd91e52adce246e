"""`make build GRADUAL=yes`: publish versions behind an alias, for gradual deployments and SnapStart.

`published.yaml` says what is merged into the built template, and why it is not part of `template.yaml`.
"""

import copy
from pathlib import Path
from typing import Any

import yaml
from samtranslator.yaml_helper import yaml_parse

from local.template.source import read_source

_FRAGMENT = Path(__file__).with_name("published.yaml")
_MERGED_SECTIONS = ("Parameters", "Rules", "Mappings", "Conditions")


def publish_versions(template: Path, *, build_id: str) -> None:
    """Rewrite a built template. `build_id` must differ in each build: SAM publishes a version when it changes."""
    content = with_published_versions(read_source(template).content, build_id=build_id)
    template.write_text(yaml.safe_dump(content, sort_keys=False, width=1_000_000), encoding="utf-8")


def with_published_versions(template: dict[str, Any], *, build_id: str) -> dict[str, Any]:
    """Return a copy of a template whose functions are published behind the alias `live`, which clients and queues use."""
    fragment = yaml_parse(_FRAGMENT.read_text(encoding="utf-8"))
    content = copy.deepcopy(template)
    for section in _MERGED_SECTIONS:
        content.setdefault(section, {}).update(fragment[section])
    functions, resources = fragment["Functions"], content["Resources"]
    for name in functions["Published"]:
        resources[name]["Properties"].update(copy.deepcopy(functions["Properties"]), AutoPublishCodeSha256=build_id)
    for name in functions["Snapshotted"]:
        resources[name]["Properties"]["SnapStart"] = copy.deepcopy(functions["SnapStart"])
    alias = {"Ref": "AuthorizerFunction.Alias"}
    resources["Api"]["Properties"]["Auth"]["Authorizers"]["Authorizer"]["FunctionArn"] = alias
    # This schedule is a resource of its own, so SAM does not point it to the alias.
    alias = {"Ref": "SummarizeFunction.Alias"}
    resources["SummarizeSchedule"]["Properties"]["Target"]["Arn"] = alias
    for policy in resources["SummarizeScheduleRole"]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Action"] == "lambda:InvokeFunction":
                statement["Resource"] = alias
    return content
