"""A built stack on disk: its folders, whether it can run on this machine, and whether the sources are newer."""

import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.template import source

DEFAULT_BUILD = Path(".aws-sam/build")
# The folders on Lambda into which artefacts are unpacked.
TASK_ROOT = "/var/task"
LAYER_ROOT = "/opt/python"
CHECKOUT = Path(__file__).parents[2]
RUNTIME_FOLDER = CHECKOUT / ".tools" / "runtime"
_REBUILD_HINT = "run `make build ARCHITECTURE=native`"


@dataclass(frozen=True)
class BuildTree:
    """A built stack: its template, and one folder for each function and each layer."""

    root: Path

    @property
    def template(self) -> Path:
        return self.root / "template.yaml"

    @property
    def layers(self) -> Mapping[str, Path]:
        """The package folder of each layer, by the layer's name."""
        return {path.parent.name: path for path in sorted(self.root.glob("*/python"))}

    @property
    def attached_layers(self) -> Mapping[str, Path]:
        """The layers that every function has. A layer with a condition may be missing at run time."""
        return {name: path for name, path in self.layers.items() if "Condition" not in self._resources().get(name, {})}

    @property
    def functions(self) -> Mapping[str, Path]:
        """The task root of each function, by the function's name. The folders of nested stacks hold only a template."""
        names = sorted(name for name, resource in self._resources().items() if resource["Type"] == "AWS::Serverless::Function")
        return {name: self.root / name for name in names}

    def lambda_root(self, name: str) -> str:
        """Return the folder on Lambda that holds the artefact with this name."""
        return LAYER_ROOT if name in self.layers else TASK_ROOT

    def _resources(self) -> source.Fragment:
        resources: source.Fragment = source.read_source(self.template).content["Resources"]
        return resources


class BuildUnusable(Exception):
    """The build cannot run on this machine; the message says what to do."""


def check_runnable(tree: BuildTree, *, runtime: Path = RUNTIME_FOLDER) -> None:
    """Raise `BuildUnusable` if there is no build, if it is for another machine, or if AWS's runtime is not installed."""
    if not tree.template.is_file():
        raise BuildUnusable(f"there is no build in {tree.root}: {_REBUILD_HINT}")
    if foreign := next(_foreign_modules(tree.root), None):
        raise BuildUnusable(f"the build in {tree.root} is for another machine ({foreign.name}): {_REBUILD_HINT}")
    if not (runtime / "awslambdaric").is_dir():
        raise BuildUnusable(f"AWS's runtime is not installed in {runtime}: run `make runtime`")


def newer_source(tree: BuildTree, *, checkout: Path = CHECKOUT) -> Path | None:
    """Return the most recently changed source, relative to `checkout`, if it is newer than the build; else None."""
    sources = [checkout / "template.yaml", *checkout.glob("functions/**/*"), *checkout.glob("layers/**/*")]
    files = [path for path in sources if path.is_file() and "__pycache__" not in path.parts]
    newest = max(files, key=lambda path: path.stat().st_mtime, default=None)
    if newest is None or newest.stat().st_mtime <= tree.template.stat().st_mtime:
        return None
    return newest.relative_to(checkout)


def _foreign_modules(root: Path) -> Iterator[Path]:
    """Yield the extension modules built for another platform. Modules for the stable ABI are not checked: their names lack a platform."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    return (path for path in root.rglob("*.cpython-*.so") if not path.name.endswith(suffix))
