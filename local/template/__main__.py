"""Translate `template.yaml` for the linters, as AWS does before CloudFormation gets it: `python -m local.template FOLDER`.

Writes `template.json`, and `without-routes.json` without the bodies of APIs. Those hold no resource, and checkov takes a minute and a
half to follow their references.
"""

import json
import sys
from pathlib import Path
from typing import Any

from local.template.parameters import parameter_values
from local.template.source import read_source
from local.template.translate import translate

_CHECKOUT = Path(__file__).resolve().parents[2]
# `sam deploy` uploads the nested stacks and writes their addresses into the template.
_PACKAGED = "https://bucket.s3.amazonaws.com/"
# The values that a deployment must set. Linters follow both sides of each condition, whatever its parameters are.
_VALUES = {"MailFrom": "parley@example.com"}


def write_translations(folder: Path) -> list[Path]:
    """Write both files and return their paths. Parameters that a deployment must set get a default."""
    source = read_source(_CHECKOUT / "template.yaml")
    translated = translate(source, parameter_values(source, _VALUES))
    for name, value in _VALUES.items():
        translated["Parameters"][name] = {**translated["Parameters"][name], "Default": value}
    for resource in translated["Resources"].values():
        if resource["Type"] == "AWS::CloudFormation::Stack":
            resource["Properties"]["TemplateURL"] = _PACKAGED + resource["Properties"]["TemplateURL"]
    whole = _write(translated, folder / "template.json")
    for resource in translated["Resources"].values():
        resource["Properties"].pop("Body", None)
    return [whole, _write(translated, folder / "without-routes.json")]


def _write(template: dict[str, Any], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(template, indent=1), encoding="utf-8")
    return path


if __name__ == "__main__":
    for path in write_translations(Path(sys.argv[1])):
        print(path)
