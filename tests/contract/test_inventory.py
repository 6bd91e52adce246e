"""The inventory of packages (`make build` writes it): every package that a deployment contains, with its version, hashes and parts."""

import json
import re
import subprocess
import sys

from requirements.inventory import inventory
from tests.conftest import ROOT

DEPLOYED = sorted([*ROOT.glob("functions/*/requirements.txt"), *ROOT.glob("layers/*/requirements.txt")])


def listed():
    """Return the pairs of package URL and part of the inventory."""
    return {(component["purl"], item["value"]) for component in inventory()["components"] for item in component["properties"]}


def test_every_pin_of_every_function_and_layer_is_listed_with_its_part():
    pins = {
        (f"pkg:pypi/{name.lower()}@{version}", path.parent.relative_to(ROOT).as_posix())
        for path in DEPLOYED
        for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", path.read_text(), re.MULTILINE)
    }

    assert len(pins) > 100
    assert {pair for pair in listed() if pair[0].startswith("pkg:pypi/")} == pins


def test_the_pages_packages_are_listed_without_their_checkers():
    package = json.loads((ROOT / "package.json").read_text())
    named = {purl.removeprefix("pkg:npm/").rpartition("@")[0].replace("%40", "@") for purl, part in listed() if part == "functions/web"}

    assert set(package["dependencies"]) <= named
    assert named.isdisjoint(package["devDependencies"])


def test_every_package_has_the_hashes_of_its_pin():
    hashes = {component["purl"]: {item["content"] for item in component["hashes"]} for component in inventory()["components"]}
    pinned = set().union(*(re.findall(r"--hash=sha256:(\w+)", path.read_text()) for path in DEPLOYED))

    assert all(hashes.values())
    assert set().union(*(found for purl, found in hashes.items() if purl.startswith("pkg:pypi/"))) == pinned


def test_two_runs_write_the_same_bytes(tmp_path):
    files = [tmp_path / "new" / "one.json", tmp_path / "two.json"]
    for file in files:
        subprocess.run([sys.executable, "requirements/inventory.py", str(file)], cwd=ROOT, check=True)

    one, two = (file.read_bytes() for file in files)
    assert one == two
    assert json.loads(one)["bomFormat"] == "CycloneDX"
