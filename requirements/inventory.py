"""Write the inventory of Python and npm packages that a deployment contains, as CycloneDX 1.6: `python requirements/inventory.py FILE`.

Its sources are the pins: `requirements.txt` of each function and layer, and `package-lock.json` without the page's checkers. Two runs on
the same pins write the same bytes.
"""

import base64
import json
import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).parent.parent
# A pin, its marker, and its hashes on the lines that follow.
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)(?P<rest>.*(?:\n[ \t].*)*)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Package:
    """A pinned package: its package URL, and the hashes of its files as pairs of algorithm and hexadecimal digest."""

    name: str
    version: str
    url: str
    hashes: tuple[tuple[str, str], ...]


def inventory(root: Path = ROOT) -> dict[str, Any]:
    """Return the inventory of the tree `root` as a CycloneDX document. Each component names the parts that contain it."""
    parts: dict[Package, list[str]] = defaultdict(list)
    for path in sorted([*root.glob("functions/*/requirements.txt"), *root.glob("layers/*/requirements.txt")]):
        for package in python_packages(path.read_text()):
            parts[package].append(path.parent.relative_to(root).as_posix())
    for package in page_packages(json.loads((root / "package-lock.json").read_text())):
        parts[package].append("functions/web")
    components = [_component(package, parts[package]) for package in sorted(parts, key=lambda package: package.url)]
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}


def python_packages(requirements: str) -> list[Package]:
    """Return the pins of a requirements file."""
    return [
        Package(pin["name"], pin["version"], f"pkg:pypi/{pin['name'].lower()}@{pin['version']}", _sha256(pin["rest"]))
        for pin in _PIN.finditer(requirements)
    ]


def page_packages(lock: dict[str, Any]) -> list[Package]:
    """Return the packages of `package-lock.json` that build the page or are part of it."""
    found = []
    for folder, entry in lock["packages"].items():
        if folder and not entry.get("dev"):
            name = folder.rpartition("node_modules/")[2]
            algorithm, _, digest = entry["integrity"].partition("-")
            hashes = ((algorithm.upper().replace("SHA", "SHA-"), base64.b64decode(digest).hex()),)
            found.append(Package(name, entry["version"], f"pkg:npm/{quote(name)}@{entry['version']}", hashes))
    return found


def _sha256(text: str) -> tuple[tuple[str, str], ...]:
    return tuple(("SHA-256", digest) for digest in _HASH.findall(text))


def _component(package: Package, parts: list[str]) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": package.url,
        "name": package.name,
        "version": package.version,
        "purl": package.url,
        "hashes": [{"alg": algorithm, "content": digest} for algorithm, digest in package.hashes],
        "properties": [{"name": "parley:part", "value": part} for part in parts],
    }


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(inventory(), indent=1) + "\n", encoding="utf-8")
