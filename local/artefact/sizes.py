"""What the artefacts weigh."""

import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from local.artefact.layout import Tree

_MB = 1_000_000


@dataclass(frozen=True)
class Weight:
    """The bytes of one artefact: unpacked, how many of those are compiled modules, and packed as for the upload."""

    unzipped: int
    bytecode: int
    zipped: int

    @classmethod
    def of(cls, folder: Path) -> "Weight":
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


def table(tree: Tree) -> str:
    """Return the weights of a built stack as aligned text, in MB of a million bytes."""
    folders = {**tree.functions, **{name: path.parent for name, path in tree.layers.items()}}
    width = max(map(len, folders))
    rows = [f"{'ARTEFACT':<{width}}  UNZIPPED MB  ZIPPED MB  .PYC"]
    for name, folder in folders.items():
        weight = Weight.of(folder)
        share = weight.bytecode / weight.unzipped if weight.unzipped else 0
        rows.append(f"{name:<{width}}  {weight.unzipped / _MB:>11.2f}  {weight.zipped / _MB:>9.2f}  {share:>4.0%}")
    return "\n".join(rows)
