"""Chat: questions in, streamed answers out."""

from parley import cold_start  # isort: split

from pathlib import Path

from functions.chat.routes import router
from functions.chat.turn import Desk
from parley.db.engine import make_engine
from parley.http.app import create_app
from parley.http.streaming import streaming_handler
from parley.llm.models import Catalogue
from parley.llm.providers import Providers
from parley.settings import DatabaseSettings, HttpSettings

BODY_LIMIT = 4 * 1024 * 1024


class ChatSettings(HttpSettings, DatabaseSettings):
    """What this function reads from its environment."""

    models_file: str


settings = ChatSettings()  # type: ignore[call-arg]
catalogue = Catalogue.load(Path(settings.models_file) if settings.models_file else None)
desk = Desk(make_engine(settings), catalogue, Providers())
app = create_app(router, settings=settings, body_limit=BODY_LIMIT, desk=desk)
handler = streaming_handler(app)
cold_start.finish()
