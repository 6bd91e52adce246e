"""The modules in which a defect costs money, data or isolation: those that `make mutation` changes."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
_PRODUCT = tuple(f"functions/{name}" for name in ("auth", "authorizer", "chat/turn", "conversation", "ingest", "toolrunner"))
_LAYER = tuple(f"layers/shared/parley/{name}" for name in ("auth", "db", "metering", "llm", "tools", "http"))
# Scores are printed for each of these folders.
GROUPS = (*_PRODUCT, *_LAYER)
LEFT_OUT = ("/migrations/", "/tables/", "/vendors/", "/__init__.py")


def files_in_scope() -> list[str]:
    """Return the files to mutate, relative to the root."""
    found = sorted(path for folder in GROUPS for path in (ROOT / folder).rglob("*.py"))
    return [name for path in found if not any(part in (name := path.relative_to(ROOT).as_posix()) for part in LEFT_OUT)]


def group_of(file: str) -> str:
    """Return the group of a file in scope."""
    return next(group for group in GROUPS if file.startswith(f"{group}/"))
