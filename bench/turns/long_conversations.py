"""Store long conversations directly in the database: `python -m bench.turns.long_conversations`.

`bench.turns.conversation_length` runs this module with a worker's environment.
"""

import argparse
import base64
import importlib
import json
from uuid import UUID

from sqlalchemy import text

_CONVERSATION = text("INSERT INTO conversations (user_id, id, title, last_seq) VALUES (:user_id, :id, 'long', :messages)")

_MESSAGES = text(
    """
    INSERT INTO messages (user_id, id, conversation_id, seq, role, parts, tokens)
    SELECT :user_id, gen_random_uuid(), :id, n, CASE WHEN n % 2 = 1 THEN 'user' ELSE 'assistant' END,
           jsonb_build_array(jsonb_build_object('type', 'text', 'text', 'message ' || n || ' ' || repeat('some words ', 10))), 25
      FROM generate_series(1, :messages) AS n
    """
)


def store_conversations(user_id: UUID, count: int, messages: int) -> list[str]:
    """Store `count` conversations with `messages` messages each; return their ids."""
    engine, transactions, ids = (importlib.import_module(f"parley.{name}") for name in ("db.engine", "db.transactions", "ids"))
    settings = importlib.import_module("parley.settings").DatabaseSettings.read()
    conversation_ids = [ids.new_id() for _ in range(count)]
    with transactions.user_scope(engine.make_engine(settings), user_id) as connection:
        for id in conversation_ids:
            for statement in (_CONVERSATION, _MESSAGES):
                connection.execute(statement, {"user_id": user_id, "id": id, "messages": messages})
    return [str(id) for id in conversation_ids]


def main() -> None:
    """Store and print the ids."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--token", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--messages", type=int, required=True)
    args = parser.parse_args()
    payload = args.token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    print(json.dumps(store_conversations(UUID(claims["sub"]), args.count, args.messages)))


if __name__ == "__main__":
    main()
