"""The artefacts of a deployment: run `sam build`, remove from each function what its layer brings (docs/adr/0001), compile, and measure."""

import compileall
import csv
import os
import platform
import py_compile
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local.sam_build.tree import BuildTree

_COMPILE_WORKERS = 2
_MB = 1_000_000


@dataclass(frozen=True)
class Distribution:
    """An installed package, known by its `.dist-info` folder."""

    info: Path

    @property
    def identity(self) -> tuple[str, str]:
        """Its normalised name and its version (PEP 503, PEP 427)."""
        name, _, version = self.info.name.removesuffix(".dist-info").partition("-")
        return re.sub(r"[-_.]+", "-", name).lower(), version

    def files(self) -> Iterator[Path]:
        """Yield the files that its RECORD names below the folder it is installed in, those that are there."""
        root = self.info.parent.resolve()
        with (self.info / "RECORD").open(encoding="utf-8", newline="") as record:
            for name, *_ in csv.reader(record):
                path = (root / name).resolve()
                if path.is_relative_to(root) and path.is_file():
                    yield path


def installed_distributions(folder: Path) -> list[Distribution]:
    """Return what is installed in the folder."""
    return [Distribution(info) for info in sorted(folder.glob("*.dist-info")) if (info / "RECORD").is_file()]


def remove_duplicates(folder: Path, *, of: Path) -> list[str]:
    """Remove from `folder` each distribution that `of` holds in the same version; return their names.

    What a distribution that stays also lists is kept, and another version of a package stays whole: the task root
    comes first on the search path.
    """
    layer_identities = {one.identity for one in installed_distributions(of)}
    duplicates = [one for one in installed_distributions(folder) if one.identity in layer_identities]
    kept = {path for one in installed_distributions(folder) if one not in duplicates for path in one.files()}
    for one in duplicates:
        for path in [path for path in one.files() if path not in kept]:
            path.unlink()
            _remove_if_empty(path.parent, within=folder.resolve())
    return [one.identity[0] for one in duplicates]


def _remove_if_empty(folder: Path, *, within: Path) -> None:
    while folder != within and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


class BuildFailed(Exception):
    """There is nothing to deploy; the text says why."""


def build_artefacts(architecture: str, *, into: Path, cache: Path | None = None, template: Path | None = None) -> None:
    """Build a stack, that in the current folder by default, for `arm64`, `x86_64` or `native`, this machine's own; raises `BuildFailed`."""
    _sam_build(_own_architecture() if architecture == "native" else architecture, into, cache, template)
    tree = BuildTree(into)
    for function in tree.functions.values():
        for layer in tree.layers.values():
            remove_duplicates(function, of=layer)
    compile_bytecode(tree)


def compile_bytecode(tree: BuildTree) -> None:
    """Write a `.pyc` beside every module, which Lambda itself cannot: its file system is read-only.

    Unchecked, as the times of files do not survive the way there; with the paths that tracebacks have on Lambda.
    """
    for name, folder in {**tree.functions, **tree.layers}.items():
        compiled = compileall.compile_dir(
            folder,
            quiet=1,
            workers=_COMPILE_WORKERS,
            stripdir=folder,
            prependdir=tree.lambda_root(name),
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        if not compiled:
            raise BuildFailed(f"{name} holds a module that Python cannot compile")


def _sam_build(architecture: str, into: Path, cache: Path | None, template: Path | None) -> None:
    scripts = Path(sys.executable).parent
    command = [str(scripts / "sam"), "build", "--parameter-overrides", f"Architecture={architecture}", "--build-dir", str(into)]
    command += ["--cache-dir", str(cache)] if cache else []
    command += ["--template", str(template.resolve())] if template else []
    # It needs a Python with pip on the PATH.
    variables = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', os.defpath)}", "SAM_CLI_TELEMETRY": "0"}
    if subprocess.run(command, env=variables, check=False).returncode:
        raise BuildFailed("`sam build` failed; its own words are above")


def _own_architecture() -> str:
    machine = platform.machine()
    return "arm64" if machine in ("arm64", "aarch64") else machine


@dataclass(frozen=True)
class ArtefactSize:
    """The bytes of one artefact: unpacked, how many of those are compiled modules, and packed as for the upload."""

    unzipped: int
    bytecode: int
    zipped: int

    @classmethod
    def of(cls, folder: Path) -> "ArtefactSize":
        """Weigh the files below `folder`."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        with tempfile.TemporaryFile() as packed:
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in files:
                    # Packages may hold files of 1970, which a zip cannot tell.
                    archive.writestr(zipfile.ZipInfo(str(path.relative_to(folder))), path.read_bytes(), zipfile.ZIP_DEFLATED)
            zipped = packed.tell()
        sizes = {path: path.stat().st_size for path in files}
        return cls(sum(sizes.values()), sum(size for path, size in sizes.items() if path.suffix == ".pyc"), zipped)


def size_table(tree: BuildTree) -> str:
    """Return the weights of a built stack as aligned text, in MB of a million bytes."""
    folders = {**tree.functions, **{name: path.parent for name, path in tree.layers.items()}}
    width = max(map(len, folders))
    rows = [f"{'ARTEFACT':<{width}}  UNZIPPED MB  ZIPPED MB  .PYC"]
    for name, folder in folders.items():
        weight = ArtefactSize.of(folder)
        share = weight.bytecode / weight.unzipped if weight.unzipped else 0
        rows.append(f"{name:<{width}}  {weight.unzipped / _MB:>11.2f}  {weight.zipped / _MB:>9.2f}  {share:>4.0%}")
    return "\n".join(rows)
