from collections.abc import Callable
from pathlib import Path

import pytest

from tests.functions.documents.conftest import ready as ready
from tests.functions.ingest.descriptions import read as read


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[bytes], str]:
    """Return a function that stores a file and returns its path."""

    def store(content: bytes) -> str:
        (tmp_path / "file").write_bytes(content)
        return str(tmp_path / "file")

    return store
