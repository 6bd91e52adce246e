"""The user's config directory and its private files."""

import os
import secrets
from pathlib import Path

from cli.errors import CliError


def config_dir() -> Path:
    """Return where this client keeps its files: `PARLEY_CONFIG_DIR`, else the platform's place; it may not exist."""
    if chosen := os.environ.get("PARLEY_CONFIG_DIR"):
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_config_path("parley", appauthor=False)


def make_private_dir(folder: Path) -> None:
    """Make `folder` and its missing parents, for this user only (700); one that exists is left as it is."""
    if not folder.exists():
        make_private_dir(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def open_private(path: Path, flags: int) -> int:
    """Open `path`, made with mode 600 if it is new, and return the file descriptor."""
    try:
        make_private_dir(path.parent)
        return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise CliError(f"{path} cannot be opened: {exc.strerror}. Another folder: PARLEY_CONFIG_DIR") from exc


def write_private(path: Path, text: str) -> None:
    """Replace `path` by a file of mode 600 in one step: a reader sees the old text or the new, a crash leaves one of them."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        # O_EXCL: never write a secret into a file or through a link that somebody else has put there.
        with os.fdopen(open_private(draft, os.O_WRONLY | os.O_EXCL), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as exc:
        raise CliError(f"{path} cannot be written: {exc.strerror or exc}") from exc
    finally:
        draft.unlink(missing_ok=True)
