"""Write the template as CloudFormation receives it, once for each database mode: `python -m local.template FOLDER`.

The folder `without-routes` has the same without the bodies of APIs: they hold no resource, and checkov takes a minute and a half to
follow their references.
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
# The values that a deployment in this mode must set.
MODES = {
    "proxy": {"MailFrom": "parley@example.com"},
    "direct": {
        "DatabaseMode": "Direct",
        "DatabaseHost": "db.example.com",
        "DatabaseAuth": "secret",
        "DatabaseOwnerSecret": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:parley-owner-AbCdEf",
        "MailFrom": "parley@example.com",
    },
}


def write_translations(folder: Path) -> list[Path]:
    """Write one translated template for each mode, with the mode's values as the defaults of its parameters, and return the files."""
    source = read_source(_CHECKOUT / "template.yaml")
    written = []
    for mode, values in MODES.items():
        translated = translate(source, parameter_values(source, values))
        for name, value in values.items():
            translated["Parameters"][name] = {**translated["Parameters"][name], "Default": value}
        for resource in translated["Resources"].values():
            if resource["Type"] == "AWS::CloudFormation::Stack":
                resource["Properties"]["TemplateURL"] = _PACKAGED + resource["Properties"]["TemplateURL"]
        written.append(_write(translated, folder / f"{mode}.json"))
        for resource in translated["Resources"].values():
            resource["Properties"].pop("Body", None)
        _write(translated, folder / "without-routes" / f"{mode}.json")
    return written


def _write(template: dict[str, Any], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(template, indent=1), encoding="utf-8")
    return path


if __name__ == "__main__":
    for path in write_translations(Path(sys.argv[1])):
        print(path)
