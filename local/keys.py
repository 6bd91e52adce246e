"""The developer's own keys: which of them the functions may see."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

_REFERENCE = re.compile(r"""["']env:([A-Za-z_][A-Za-z0-9_]*)["']""")


def keys_for(catalogues: Iterable[Path]) -> dict[str, str]:
    """Return the environment variables that model catalogues refer to as `env:NAME` and that are set here."""
    names = {name for path in catalogues for name in _REFERENCE.findall(path.read_text(encoding="utf-8"))}
    return {name: os.environ[name] for name in sorted(names) if os.environ.get(name)}
