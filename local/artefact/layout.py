"""Where `sam build` puts things."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_BUILD = Path(".aws-sam/build")
# Where an artefact is unpacked on Lambda.
TASK_ROOT, LAYER_ROOT = "/var/task", "/opt/python"


@dataclass(frozen=True)
class Tree:
    """A built stack: its template, and one folder for each function and each layer."""

    root: Path

    @property
    def template(self) -> Path:
        return self.root / "template.yaml"

    @property
    def layers(self) -> Mapping[str, Path]:
        """The layers' packages, by the names of the layers."""
        return {path.parent.name: path for path in sorted(self.root.glob("*/python"))}

    @property
    def functions(self) -> Mapping[str, Path]:
        """The functions' task roots, by the names of the functions."""
        folders = sorted(path for path in self.root.iterdir() if path.is_dir())
        return {path.name: path for path in folders if path.name not in self.layers}

    def lambda_root(self, name: str) -> str:
        """Return where the artefact of this name is on Lambda."""
        return LAYER_ROOT if name in self.layers else TASK_ROOT
