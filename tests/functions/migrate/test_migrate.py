from parley.auth.key_store import load_keys
from tests.support.api_gateway import Function


def test_a_repeated_deployment_changes_nothing(database, environment):
    from functions.migrate.app import engine, handler

    before = load_keys(environment["PARLEY_KEYS_PATH"], issuer="i").newest.kid
    done = handler({}, Function.CONTEXT)
    engine().dispose()

    assert (done["revision_before"], done["keys_made"]) == (done["revision_after"], [])
    assert load_keys(environment["PARLEY_KEYS_PATH"], issuer="i").newest.kid == before
