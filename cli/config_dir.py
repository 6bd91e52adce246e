"""The client's config directory and the private files in it."""

import os
import secrets
from pathlib import Path

from cli.errors import CliError


def config_dir() -> Path:
    """Return the client's directory: `PARLEY_CONFIG_DIR`, else the platform's default. It may not exist yet."""
    if configured := os.environ.get("PARLEY_CONFIG_DIR"):
        return Path(configured).expanduser()
    import platformdirs

    return platformdirs.user_config_path("parley", appauthor=False)


def make_private_dir(folder: Path) -> None:
    """Create `folder` and its missing parents with mode 700. An existing directory keeps its mode."""
    if not folder.exists():
        make_private_dir(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def open_private(path: Path, flags: int) -> int:
    """Open `path` and return the file descriptor. A new file gets mode 600."""
    try:
        make_private_dir(path.parent)
        return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise CliError(f"Cannot open {path}: {exc.strerror}. To use another directory, set PARLEY_CONFIG_DIR.") from exc


def write_private(path: Path, text: str) -> None:
    """Atomically replace `path` with a file of mode 600.

    A concurrent reader, or a reader after a crash, sees either the old text or the new text.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        # O_EXCL: never write a secret into a file, or through a link, that another user has planted.
        with os.fdopen(open_private(draft, os.O_WRONLY | os.O_EXCL), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as exc:
        raise CliError(f"Cannot write {path}: {exc.strerror or exc}") from exc
    finally:
        draft.unlink(missing_ok=True)
