"""The clients that ingestion uses, created once per worker, and the bucket of the documents' files."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import NamedTemporaryFile

from sqlalchemy import Engine

from functions.ingest.errors import DocumentTooLarge, SizeMismatch
from parley.aws.s3 import FileStore
from parley.jobs import IngestQueue
from parley.llm.catalogue import Catalogue
from parley.llm.router import ModelRouter
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import DefaultLimits


class DocumentFileStore(FileStore):
    """The bucket. No file is larger than `most_bytes`."""

    def __init__(self, bucket: str, *, max_bytes: int) -> None:
        super().__init__(bucket)
        self._max_bytes = max_bytes

    @contextmanager
    def local_copy(self, file_key: str, *, size: int) -> Iterator[tuple[str, bytes]]:
        """Copy a file to the disk for a while; gives its path and the SHA-256 of its bytes.

        Raises FileMissing, TooLarge, Altered if it has not this size, and Unavailable. What the upload's policy promises
        is looked at again: not every store that speaks S3 keeps to it.
        """
        digest = hashlib.sha256()
        with NamedTemporaryFile() as copy:
            with self.opened(file_key) as file:
                if file.size > self._max_bytes:
                    raise DocumentTooLarge(f"{file.size} bytes")
                if file.size != size:
                    raise SizeMismatch(f"{file.size} bytes instead of {size}")
                for piece in file.chunks:
                    digest.update(piece)
                    copy.write(piece)
            copy.flush()
            yield copy.name, digest.digest()


@dataclass(frozen=True, slots=True)
class IngestServices:
    """The database, the files, who makes vectors, and the queue on which a document that takes longer goes on.

    Where it `describes` chunks: the models with the environment in which their keys are, and what a user may spend on them.
    """

    engine: Engine
    files: DocumentFileStore
    embedding: MeteredEmbedder
    queue: IngestQueue
    catalogue: Callable[[], Catalogue]
    router: ModelRouter
    environment: Mapping[str, str]
    default_limits: DefaultLimits
    describes_chunks: bool
