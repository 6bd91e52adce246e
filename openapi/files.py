"""The generated files in `functions/web`."""

import json
from pathlib import Path

from openapi import document, page

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "functions" / "web"


def render_files() -> dict[Path, str]:
    """Return the current content of each generated file."""
    openapi = document.build(ROOT / "template.yaml")
    text = json.dumps(openapi, indent=1, ensure_ascii=False) + "\n"
    return {FOLDER / "openapi.json": text, FOLDER / "docs.html": page.render(openapi)}
