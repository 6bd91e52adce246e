"""The deployment artefacts: run `sam build`, remove duplicate packages (docs/adr/0001) and unused files, compile, measure."""

import compileall
import copy
import csv
import os
import platform
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from samtranslator.yaml_helper import yaml_parse

from local.sam_build.tree import BuildTree
from local.sam_build.unused_files import UNUSED_BY_FUNCTION, blank_debug_sections, make_packages_lazy, remove_unused_files
from local.template.source import read_source

_COMPILE_WORKERS = 2
_VERSIONS = Path(__file__).with_name("versions.yaml")
_MERGED_SECTIONS = ("Parameters", "Rules", "Mappings", "Conditions")
_MB = 1_000_000
PAGE_SOURCES = Path("functions/web/page")  # the artefact needs only the built files


class BuildFailed(Exception):
    """The build failed; the message says why."""


def build_artefacts(architecture: str, *, into: Path, cache: Path | None = None, template: Path | None = None) -> None:
    """Build the stack of `template` (default: the current folder's) for `arm64`, `x86_64` or `native`. Raises `BuildFailed`."""
    _sam_build(_own_architecture() if architecture == "native" else architecture, into, cache, template)
    tree = BuildTree(into)
    for name, function in tree.functions.items():
        shutil.rmtree(function / PAGE_SOURCES, ignore_errors=True)
        remove_unused_files(function, UNUSED_BY_FUNCTION.get(name, ()))
        make_packages_lazy(function)
        for layer in tree.attached_layers.values():
            remove_duplicates(function, of=layer)
    for layer in tree.layers.values():
        remove_unused_files(layer)
    blank_debug_sections(into)
    compile_bytecode(tree)


def compile_bytecode(tree: BuildTree) -> None:
    """Write a `.pyc` file for every module. On Lambda, Python cannot write them, because the file system is read-only.

    Python does not check these files against the sources, because deployment changes modification times. Tracebacks show the
    paths on Lambda.
    """
    for name, folder in {**tree.functions, **tree.layers}.items():
        is_compiled = compileall.compile_dir(
            folder,
            quiet=1,
            workers=_COMPILE_WORKERS,
            stripdir=folder,
            prependdir=tree.lambda_root(name),
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        if not is_compiled:
            raise BuildFailed(f"{name} contains a module that Python cannot compile")


def _sam_build(architecture: str, into: Path, cache: Path | None, template: Path | None) -> None:
    scripts = Path(sys.executable).parent
    command = [str(scripts / "sam"), "build", "--parameter-overrides", f"Architecture={architecture}", "--build-dir", str(into)]
    command += ["--cache-dir", str(cache)] if cache else []
    command += ["--template", str(template.resolve())] if template else []
    # `sam build` needs a Python with pip on the PATH.
    variables = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', os.defpath)}", "SAM_CLI_TELEMETRY": "0"}
    if subprocess.run(command, env=variables, check=False).returncode:
        raise BuildFailed("`sam build` failed; see its output above")


def _own_architecture() -> str:
    machine = platform.machine()
    return "arm64" if machine in ("arm64", "aarch64") else machine


@dataclass(frozen=True)
class Distribution:
    """An installed package; `info` is its `.dist-info` folder."""

    info: Path

    @property
    def identity(self) -> tuple[str, str]:
        """The package's normalised name (PEP 503) and its version."""
        name, _, version = self.info.name.removesuffix(".dist-info").partition("-")
        return re.sub(r"[-_.]+", "-", name).lower(), version

    def files(self) -> Iterator[Path]:
        """Yield the existing files that RECORD lists below the installation folder."""
        root = self.info.parent.resolve()
        with (self.info / "RECORD").open(encoding="utf-8", newline="") as record:
            for name, *_ in csv.reader(record):
                path = (root / name).resolve()
                if path.is_relative_to(root) and path.is_file():
                    yield path


def installed_distributions(folder: Path) -> list[Distribution]:
    """Return the packages installed in the folder, ordered by name."""
    return [Distribution(info) for info in sorted(folder.glob("*.dist-info")) if (info / "RECORD").is_file()]


def remove_duplicates(folder: Path, *, of: Path) -> list[str]:
    """Remove from `folder` each package that `of` contains in the same version; return the names.

    A package in a different version stays complete, because the task root precedes the layer on the search path. Files that
    a remaining package also lists are kept.
    """
    layer_identities = {package.identity for package in installed_distributions(of)}
    duplicates = [package for package in installed_distributions(folder) if package.identity in layer_identities]
    shared = {path for package in installed_distributions(folder) if package not in duplicates for path in package.files()}
    for package in duplicates:
        for path in [path for path in package.files() if path not in shared]:
            path.unlink()
            _remove_if_empty(path.parent, within=folder.resolve())
    return [package.identity[0] for package in duplicates]


def _remove_if_empty(folder: Path, *, within: Path) -> None:
    while folder != within and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


@dataclass(frozen=True)
class ArtefactSize:
    """Sizes of an artefact in bytes: of all its files, of the compiled modules among them, and of the zip file to upload."""

    unzipped: int
    bytecode: int
    zipped: int

    @classmethod
    def of(cls, folder: Path) -> "ArtefactSize":
        """Measure the files below `folder`."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        with tempfile.TemporaryFile() as packed:
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in files:
                    # Without a timestamp, because packages may contain files dated 1970 and dates in a zip file start in 1980.
                    archive.writestr(zipfile.ZipInfo(str(path.relative_to(folder))), path.read_bytes(), zipfile.ZIP_DEFLATED)
            zipped = packed.tell()
        sizes = {path: path.stat().st_size for path in files}
        return cls(sum(sizes.values()), sum(size for path, size in sizes.items() if path.suffix == ".pyc"), zipped)


def size_table(tree: BuildTree) -> str:
    """Return the sizes of a built stack as an aligned table, in MB (10^6 bytes)."""
    folders = {**tree.functions, **{name: path.parent for name, path in tree.layers.items()}}
    width = max(map(len, folders))
    rows = [f"{'ARTEFACT':<{width}}  UNZIPPED MB  ZIPPED MB  .PYC"]
    for name, folder in folders.items():
        size = ArtefactSize.of(folder)
        share = size.bytecode / size.unzipped if size.unzipped else 0
        rows.append(f"{name:<{width}}  {size.unzipped / _MB:>11.2f}  {size.zipped / _MB:>9.2f}  {share:>4.0%}")
    return "\n".join(rows)


def publish_versions(template: Path, *, build_id: str) -> None:
    """Rewrite a built template as `versions.yaml` says. `build_id` must differ in each build: SAM publishes a version when it changes."""
    content = with_published_versions(read_source(template).content, build_id=build_id)
    template.write_text(yaml.safe_dump(content, sort_keys=False, width=1_000_000), encoding="utf-8")


def with_published_versions(template: dict[str, Any], *, build_id: str) -> dict[str, Any]:
    """Return a copy of a template whose functions are published behind the alias `live`, which clients and queues use."""
    fragment = yaml_parse(_VERSIONS.read_text(encoding="utf-8"))
    content = copy.deepcopy(template)
    for section in _MERGED_SECTIONS:
        content.setdefault(section, {}).update(fragment[section])
    functions, resources = fragment["Functions"], content["Resources"]
    for name in functions["Published"]:
        resources[name]["Properties"].update(copy.deepcopy(functions["Properties"]), AutoPublishCodeSha256=build_id)
    for name in functions["Snapshotted"]:
        resources[name]["Properties"]["SnapStart"] = copy.deepcopy(functions["SnapStart"])
    alias = {"Ref": "AuthorizerFunction.Alias"}
    for authorizer in resources["Api"]["Properties"]["Auth"]["Authorizers"].values():
        authorizer["FunctionArn"] = alias
    # This schedule is a resource of its own, so SAM does not point it to the alias.
    alias = {"Ref": "SummarizeFunction.Alias"}
    resources["SummarizeSchedule"]["Properties"]["Target"]["Arn"] = alias
    for policy in resources["SummarizeScheduleRole"]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Action"] == "lambda:InvokeFunction":
                statement["Resource"] = alias
    return content
