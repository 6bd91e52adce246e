"""The deployment artefacts: run `sam build`, remove duplicate packages (docs/adr/0001) and unused files, compile, measure."""

import compileall
import copy
import csv
import hashlib
import os
import platform
import py_compile
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import cache_from_source
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import yaml
from samtranslator.yaml_helper import yaml_parse

from local.sam_build.tree import BuildTree
from local.sam_build.unused_files import (
    BUILD_FILES,
    UNUSED,
    UNUSED_BY_FUNCTION,
    blank_debug_sections,
    make_packages_lazy,
    remove_unused_files,
)
from local.template.source import read_source

_COMPILE_WORKERS = 2
_VERSIONS = Path(__file__).with_name("versions.yaml")
_MERGED_SECTIONS = ("Parameters", "Rules", "Mappings", "Conditions")
# Systems whose wheels run on Lambda's Amazon Linux 2023, in the order in which `sam build` prefers them.
_SYSTEMS = ("linux", "manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34")
_MB = 1_000_000
# Fixed parts of a zip file: a file's header with its entry in the directory, and the directory's end (APPNOTE.TXT, 4.3).
_ZIP_ENTRY, _ZIP_END = 30 + 46, 22
# The compressed size of each content, because several functions carry the same packages.
_COMPRESSED: dict[bytes, int] = {}
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
        remove_unused_files(layer, UNUSED + BUILD_FILES)
    blank_debug_sections(into)
    compile_bytecode(tree)


def compile_bytecode(tree: BuildTree) -> None:
    """Write a `.pyc` file for every module. On Lambda, Python cannot write them, because the file system is read-only.

    Python does not check these files against the sources, because deployment changes modification times. Tracebacks show the
    paths on Lambda. A module that several functions have at the same path is compiled once.
    """
    copies: dict[tuple[str, bytes], list[Path]] = {}
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    with ProcessPoolExecutor(_COMPILE_WORKERS, mp_context=get_context("forkserver")) as pool:
        for name, folder in {**tree.functions, **tree.layers}.items():
            lambda_root = tree.lambda_root(name)
            firsts: list[Path] = []
            for module in [path for path in _files(folder) if path.suffix == ".py"]:
                place = f"{lambda_root}/{module.relative_to(folder)}"
                same = copies.setdefault((place, hashlib.sha256(module.read_bytes()).digest()), [])
                firsts += [] if same else [module]
                same.append(module)
            compile_one = partial(compileall.compile_file, quiet=1, stripdir=folder, prependdir=lambda_root, invalidation_mode=unchecked)
            if not all(pool.map(compile_one, firsts, chunksize=50)):
                raise BuildFailed(f"{name} contains a module that Python cannot compile")
    for first, *others in copies.values():
        for other in others:
            bytecode = Path(cache_from_source(other))
            bytecode.parent.mkdir(exist_ok=True)
            shutil.copyfile(cache_from_source(first), bytecode)


def _sam_build(architecture: str, into: Path, cache: Path | None, template: Path | None) -> None:
    scripts = Path(sys.executable).parent
    command = [str(scripts / "sam"), "build", "--parameter-overrides", f"Architecture={architecture}", "--build-dir", str(into)]
    command += ["--cache-dir", str(cache)] if cache else []
    command += ["--template", str(template.resolve())] if template else []
    # `sam build` needs a Python with pip on the PATH.
    variables = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', os.defpath)}", "SAM_CLI_TELEMETRY": "0"}
    # A package without a wheel for Lambda fails the first attempt. `sam build` then tries to build it.
    attempts = [variables | choice, variables] if (choice := wheel_choice(architecture)) else [variables]
    if all(subprocess.run(command, env=attempt, check=False).returncode for attempt in attempts):
        raise BuildFailed("`sam build` failed; see its output above")


def wheel_choice(architecture: str) -> dict[str, str]:
    """Return the variables with which pip downloads wheels for another machine than this one.

    Without them, `sam build` downloads the wheels for this machine first, and then each of the others in a process of its own.
    """
    if sys.platform == "linux" and architecture == _own_architecture():
        return {}
    machine = "aarch64" if architecture == "arm64" else architecture
    return {"PIP_ONLY_BINARY": ":all:", "PIP_PLATFORM": " ".join(f"{system}_{machine}" for system in _SYSTEMS)}


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
        files = _files(folder)
        bytecode = sum(path.stat().st_size for path in files if path.suffix == ".pyc")
        zipped = sum(_size_in_zip(path, str(path.relative_to(folder))) for path in files)
        return cls(unzipped_size(folder), bytecode, zipped + _ZIP_END)


def unzipped_size(folder: Path) -> int:
    """Return the size of all files below `folder` in bytes."""
    return sum(path.stat().st_size for path in _files(folder))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _size_in_zip(path: Path, name: str) -> int:
    """Return the bytes that a file adds to a zip file: its compressed content, its header and its entry in the directory."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).digest()
    if digest not in _COMPRESSED:
        _COMPRESSED[digest] = len(zlib.compress(content, wbits=-zlib.MAX_WBITS))
    return _COMPRESSED[digest] + _ZIP_ENTRY + 2 * len(name.encode())


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
    _route_to_aliases(resources, functions["Published"])
    # This schedule is a resource of its own, so SAM does not point it to the alias.
    alias = {"Ref": "SummarizeFunction.Alias"}
    resources["SummarizeSchedule"]["Properties"]["Target"]["Arn"] = alias
    for policy in resources["SummarizeScheduleRole"]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Action"] == "lambda:InvokeFunction":
                statement["Resource"] = alias
    return content


def _route_to_aliases(resources: dict[str, Any], functions: Iterable[str]) -> None:
    """Let the API's routes invoke the aliases of the functions, and permit it."""
    for methods in resources["Api"]["Properties"]["DefinitionBody"]["paths"].values():
        for method in methods.values():
            uri = method["x-amazon-apigateway-integration"]["uri"]
            uri["Fn::Sub"] = re.sub(r"\$\{(\w+)\.Arn\}", r"${\1.Alias}", uri["Fn::Sub"])
    for name in functions:
        if permission := resources.get(f"{name}Permission"):
            permission["Properties"]["FunctionName"] = {"Ref": f"{name}.Alias"}
