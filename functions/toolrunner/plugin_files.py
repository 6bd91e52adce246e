"""Where plugins come from: installed packages and files. Nothing of them is imported until it is loaded."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

GROUP = "parley.tools"
_PACKAGE = f"{__package__}.plugins"


def plugin_modules(folder: Path) -> dict[str, Callable[[], object]]:
    """Return how each plugin is loaded: the files of `folder`, then what packages offer by the entry point `parley.tools`."""
    files = {path.name: partial(import_module, f"{_PACKAGE}.{path.stem}") for path in sorted(folder.glob("[!_]*.py"))}
    packages = {f"{point.value} of {point.dist.name if point.dist else '?'}": point.load for point in entry_points(group=GROUP)}
    return {**files, **packages}
