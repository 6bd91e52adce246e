from tests.functions.documents.conftest import ready as ready
