"""Messages to a turn that runs. The model reads them at the next round of its tool loop; without one, they stay unread."""

from uuid import UUID

from functions.chat.errors import NotRunning, TooManyMessages
from functions.chat.services import ChatServices
from parley.auth.principal import Principal
from parley.db.transactions import principal_scope
from parley.db.turn import steering_messages
from parley.db.turn.steering_messages import SteeringMessage
from parley.errors import InvalidInput

MAX_MESSAGES = 10
MAX_CHARACTERS = 8_000


def add_message(services: ChatServices, principal: Principal, turn_id: UUID, message: SteeringMessage) -> None:
    """Store a message for the next round of a running turn. Safe to repeat with the same id and text.

    Raises NotFound, NotRunning, TooManyMessages, InvalidInput if the key has another text, Unauthorized and Unavailable.
    """
    with principal_scope(services.engine, principal) as connection:
        locked = steering_messages.lock(connection, turn_id, user_id=principal.user_id)
        if message in locked.messages:
            return
        if any(known.id == message.id for known in locked.messages):
            raise InvalidInput("another message has this key", loc=("body", "key"))
        if locked.status != "running":
            raise NotRunning(f"turn {turn_id} is {locked.status}")
        if len(locked.messages) >= MAX_MESSAGES:
            raise TooManyMessages(f"turn {turn_id}")
        steering_messages.add(connection, turn_id, message.id, message.text, user_id=principal.user_id)
