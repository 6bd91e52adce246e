"""The clients and settings of ingestion, created once per worker, and the bucket with the documents' files."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import NamedTemporaryFile

from functions.ingest.errors import DocumentTooLarge, SizeMismatch
from parley.aws.s3 import FileMissing, FileStore
from parley.db.engine import Engine
from parley.ingest_queue import IngestQueue
from parley.llm.catalogue import Catalogue
from parley.llm.router import ModelRouter
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import DefaultLimits
from parley.observability import add_log_context


class DocumentFileStore(FileStore):
    """The bucket with the documents' files, none larger than `max_bytes`."""

    def __init__(self, bucket: str, *, max_bytes: int) -> None:
        super().__init__(bucket)
        self._max_bytes = max_bytes

    @contextmanager
    def local_copy(self, file_key: str, *, size: int) -> Iterator[tuple[str, bytes]]:
        """Copy a file to disk for the duration of the context, and yield the copy's path and the SHA-256 of its content.

        Raises FileMissing, DocumentTooLarge, SizeMismatch if the file does not have `size` bytes, and Unavailable. The upload
        policy limits the size too, but not every S3-compatible store enforces the policy.
        """
        digest = hashlib.sha256()
        with NamedTemporaryFile() as copy:
            with self.opened(file_key) as file:
                # S3's notification carries no attributes, so the file itself names the request that stored it.
                add_log_context(correlation_id=file.correlation_id)
                if file.size > self._max_bytes:
                    raise DocumentTooLarge(f"{file.size} bytes")
                if file.size != size:
                    raise SizeMismatch(f"{file.size} bytes instead of {size}")
                for part in file.chunks:
                    digest.update(part)
                    copy.write(part)
            copy.flush()
            yield copy.name, digest.digest()


class ImportFileStore(DocumentFileStore):
    """The bucket with the exports to import, and with the images that they contain."""

    def has(self, key: str) -> bool:
        """Return whether the bucket has a file. Raises Unavailable."""
        try:
            self.media_type(key)
        except FileMissing:
            return False
        return True


@dataclass(frozen=True, slots=True)
class IngestServices:
    """The dependencies of ingestion.

    `catalogue`, `router`, `environment` (which holds the models' keys) and `default_limits` are only used if
    `describes_chunks` is set. `queue` receives documents and imports that need more than one invocation. At most `max_per_user`
    documents of one user are processed at once. `retention_days` applies to users who have not chosen a retention; 0 keeps
    conversations for ever.
    """

    engine: Engine
    files: DocumentFileStore
    import_files: ImportFileStore
    embedding: MeteredEmbedder
    queue: IngestQueue
    catalogue: Callable[[], Catalogue]
    router: ModelRouter
    environment: Mapping[str, str]
    default_limits: DefaultLimits
    describes_chunks: bool
    max_per_user: int
    retention_days: int
