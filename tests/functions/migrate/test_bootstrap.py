"""The first deployment on an empty cluster, whose master user is not a superuser."""

import pytest

from parley.aws import data_api as data_api_module
from parley.aws.data_api import DataApi
from parley.db.bootstrap import bootstrap
from parley.errors import Unavailable
from tests.fakes.data_api import CLUSTER, SECRET
from tests.shared.db.test_schema import NEWEST
from tests.support.api_gateway import Function

ABILITIES = """
SELECT rolname, rolcanlogin, rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls AS is_powerful,
       pg_has_role(rolname, 'rds_iam', 'MEMBER') AS uses_iam
  FROM pg_roles WHERE rolname LIKE 'parley_%' AND rolname <> 'parley_master' ORDER BY 1
"""


@pytest.fixture
def administrator(rds, data_api, monkeypatch):
    """The Data API with an empty cluster behind it."""
    rds.empty()
    monkeypatch.setenv("AWS_ENDPOINT_URL_RDS_DATA", data_api.url)
    return DataApi(CLUSTER, SECRET, database="parley")


def test_the_roles_have_no_power_and_log_in_with_iam(rds, administrator):
    bootstrap(administrator.run)

    assert rds.server.execute(ABILITIES) == [
        ("parley_app", True, False, True),
        ("parley_background", True, False, True),
        ("parley_owner", True, False, True),
        ("parley_search", False, False, False),
    ]


def test_the_bootstrap_can_be_repeated(rds, administrator):
    bootstrap(administrator.run)
    before = rds.server.execute(ABILITIES)
    bootstrap(administrator.run)

    assert rds.server.execute(ABILITIES) == before


def test_the_owner_migrates_the_new_cluster(rds, on_new_cluster, monkeypatch):
    # The roles exist once the first statement has run; only then can they get passwords, in place of IAM tokens.
    monkeypatch.setattr(on_new_cluster, "bootstrap", lambda run: (bootstrap(run), rds.allow_passwords()))
    done = on_new_cluster.handler({}, Function.CONTEXT)

    assert (done["revision_before"], done["revision_after"]) == (None, NEWEST)
    assert rds.server.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'") == [("parley_owner",)]


def test_a_paused_cluster_is_awaited(data_api, administrator, monkeypatch):
    monkeypatch.setattr(data_api_module, "_RETRY_PAUSE_S", 0.01)
    data_api.resuming = 3
    administrator.run("SELECT 1")

    assert data_api.resuming == 0


def test_a_missing_secret_is_named(data_api, administrator):
    data_api.secret = "arn:another"
    with pytest.raises(Unavailable, match=r"Data API: BadRequestException.*secret"):
        administrator.run("SELECT 1")


def test_a_refused_statement_is_named(administrator):
    with pytest.raises(Unavailable, match=r"DatabaseErrorException.*permission denied.*SQLState: 42501"):
        administrator.run("CREATE ROLE another SUPERUSER")
