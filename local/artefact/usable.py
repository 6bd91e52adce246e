"""Whether what was built can run here, and whether it is what the sources say."""

import sysconfig
from collections.abc import Iterator
from pathlib import Path

from local.artefact.layout import Tree

CHECKOUT = Path(__file__).parents[2]
RUNTIME = CHECKOUT / ".tools" / "runtime"
_AGAIN = "run `make build ARCHITECTURE=native`"


class BuildUnusable(Exception):
    """The build cannot run on this machine; the text says what to do."""


def check(tree: Tree, *, runtime: Path = RUNTIME) -> None:
    """Raise `BuildUnusable` if there is no build, if it is for another machine, or if AWS's runtime is not installed."""
    if not tree.template.is_file():
        raise BuildUnusable(f"there is no build in {tree.root}: {_AGAIN}")
    if foreign := next(_foreign_modules(tree.root), None):
        raise BuildUnusable(f"the build in {tree.root} is for another machine ({foreign.name}): {_AGAIN}")
    if not (runtime / "awslambdaric").is_dir():
        raise BuildUnusable(f"there is no AWS runtime in {runtime}: run `make runtime`")


def newer_source(tree: Tree, *, checkout: Path = CHECKOUT) -> Path | None:
    """Return the source that was changed last, relative to `checkout`, if that was after the build; else None."""
    sources = [checkout / "template.yaml", *checkout.glob("functions/**/*"), *checkout.glob("layers/**/*")]
    files = [path for path in sources if path.is_file() and "__pycache__" not in path.parts]
    newest = max(files, key=lambda path: path.stat().st_mtime, default=None)
    if newest is None or newest.stat().st_mtime <= tree.template.stat().st_mtime:
        return None
    return newest.relative_to(checkout)


def _foreign_modules(root: Path) -> Iterator[Path]:
    """Yield the compiled modules that name another machine; those for any Python do not tell."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    return (path for path in root.rglob("*.cpython-*.so") if not path.name.endswith(suffix))
