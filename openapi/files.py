"""The files that `functions/web` serves."""

import json
from pathlib import Path

from openapi import document, page

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "functions" / "web"


def render_files() -> dict[Path, str]:
    """Return what each file has to hold."""
    found = document.build(ROOT / "template.yaml")
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    return {FOLDER / "openapi.json": text, FOLDER / "docs.html": page.render(found)}
