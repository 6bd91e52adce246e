"""Health checks: whether the function runs, and whether it is ready to serve requests."""

from parley.http import cold_start  # isort: split

from functions.health.routes import router
from parley.db.engine import make_engine
from parley.http.app import create_app
from parley.http.lambda_entry import buffered_handler
from parley.settings import DatabaseSettings, HttpSettings


class HealthSettings(HttpSettings, DatabaseSettings):
    """The settings of the health function, read from the environment."""


settings = HealthSettings.read()
app = create_app(router, settings=settings, engine=make_engine(settings))
handler = buffered_handler(app)
cold_start.finish()
