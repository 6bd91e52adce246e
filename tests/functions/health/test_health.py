from parley import __version__
from parley.settings import DatabaseSettings


def test_health_checks_no_dependency(health):
    assert health.get("/health").json == {"status": "ok", "version": __version__}


def test_ready_names_its_checks(health):
    answer = health.get("/health/ready")

    assert (answer.status, answer.json["status"], answer.json["checks"]["database"]["status"]) == (200, "ok", "ok")


def test_without_its_database_parley_is_not_ready(health, database, monkeypatch):
    from functions.health.app import app
    from parley.db.engine import make_engine

    gone = make_engine(DatabaseSettings.model_validate(database.model_dump() | {"database_port": 9}))
    monkeypatch.setitem(app._app.state._state, "engine", gone)
    answer = health.get("/health/ready")

    assert (answer.status, answer.json["checks"]["database"]["status"]) == (503, "failed")
    assert answer.headers["retry-after"]


def test_health_reveals_no_secrets(health):
    assert "127.0.0.1" not in health.get("/health/ready").body.decode()
