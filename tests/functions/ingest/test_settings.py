"""The settings of the ingest function."""

import os


def test_a_user_may_have_a_single_worker(environment):
    from functions.ingest.app import IngestSettings

    assert IngestSettings.read(os.environ | {"PARLEY_INGEST_PER_USER": "1"}).ingest_per_user == 1
