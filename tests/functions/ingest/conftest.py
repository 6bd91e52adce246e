from tests.functions.documents.conftest import ready as ready
from tests.functions.ingest.descriptions import read as read
