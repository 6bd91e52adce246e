"""Conversations and their messages."""

from parley import cold_start  # isort: split

from functions.conversation.routes import router
from parley.db.engine import make_engine
from parley.follow_up import MemoryQueue
from parley.http.app import create_app
from parley.http.buffered import buffered_handler
from parley.settings import BudgetSettings, DatabaseSettings, HttpSettings


class ConversationSettings(HttpSettings, DatabaseSettings, BudgetSettings):
    """What this function reads from its environment."""

    memory_queue_url: str


settings = ConversationSettings.read()
app = create_app(
    router,
    settings=settings,
    engine=make_engine(settings),
    budget_usd=settings.budget_usd,
    memory_queue=MemoryQueue(settings.memory_queue_url),
)
handler = buffered_handler(app)
cold_start.finish()
