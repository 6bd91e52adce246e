"""Reads what a stack has stored, for the comparison in `audit.py`."""

from collections import Counter

from tests.chaos.audit import Records, TurnRow, key_of

TURNS = """
SELECT t.user_id, t.status, t.error_code, question.parts->0->>'text',
       coalesce((SELECT string_agg(part->>'text', '' ORDER BY place)
                   FROM jsonb_array_elements(answer.parts) WITH ORDINALITY AS parts (part, place) WHERE part->>'type' = 'text'), ''),
       coalesce((SELECT string_agg(piece, '' ORDER BY e.number, place)
                   FROM turn_events e, jsonb_array_elements_text(e.data->'texts') WITH ORDINALITY AS pieces (piece, place)
                  WHERE e.turn_id = t.id AND e.name = 'text.delta'), ''),
       (SELECT count(*) FROM turn_events e WHERE e.turn_id = t.id
           AND e.name IN ('turn.completed', 'turn.interrupted', 'turn.failed', 'turn.stopped')),
       (SELECT coalesce(jsonb_agg(jsonb_build_array(u.input_tokens, u.output_tokens, u.is_estimate)), '[]')
          FROM usage u WHERE u.turn_id = t.id AND u.purpose = 'chat')
  FROM turns t JOIN messages question ON question.user_id = t.user_id AND question.id = t.user_message_id
  LEFT JOIN messages answer ON answer.user_id = t.user_id AND answer.id = t.message_id
"""
QUESTIONS = "SELECT parts->0->>'text', count(*) FROM messages WHERE role = 'user' GROUP BY 1"
CONVERSATIONS = """
SELECT c.last_seq, array_agg(m.seq ORDER BY m.seq), c.title IS NOT NULL, bool_or(m.role = 'assistant' AND m.status = 'completed')
  FROM conversations c JOIN messages m ON m.user_id = c.user_id AND m.conversation_id = c.id AND m.is_active GROUP BY c.user_id, c.id
"""
BUDGETS = """
WITH charged AS (SELECT user_id AS subject_id, cost_usd FROM usage
                 UNION ALL SELECT api_key_id, cost_usd FROM usage WHERE api_key_id IS NOT NULL),
     spent AS (SELECT subject_id, sum(spent_usd) AS spent, sum(reserved_usd) AS reserved FROM budgets GROUP BY 1)
SELECT s.subject_id, s.spent, coalesce((SELECT sum(cost_usd) FROM charged c WHERE c.subject_id = s.subject_id), 0), s.reserved
  FROM spent s
"""
DOCUMENTS = """
SELECT d.user_id, d.id, d.status, d.chunks, (SELECT count(*) FROM chunks c WHERE c.user_id = d.user_id AND c.document_id = d.id)
  FROM documents d
"""
OUTBOX = "SELECT 'outbox rows of the topic ' || topic, count(*) FROM outbox GROUP BY 1"
RESERVATIONS = "SELECT 'reservations', count(*) FROM budget_reservations"


def read_records(stack):
    """Return everything that the stack has stored."""
    with stack.database() as connection:
        turns = [
            TurnRow(key, str(user_id), *rest, question, answer, logged, endings, [tuple(charge) for charge in charges])
            for user_id, *rest, question, answer, logged, endings, charges in connection.execute(TURNS)
            if (key := key_of(question))
        ]
        return Records(
            turns=turns,
            questions=Counter(dict(connection.execute(QUESTIONS).fetchall())),
            conversations=connection.execute(CONVERSATIONS).fetchall(),
            budgets=[(str(subject), *amounts) for subject, *amounts in connection.execute(BUDGETS)],
            documents=[(str(owner), str(id), *rest) for owner, id, *rest in connection.execute(DOCUMENTS)],
            files=stack.files(),
            waiting=dict([*connection.execute(OUTBOX), *connection.execute(RESERVATIONS)]) | dead_letters(stack.status()),
        )


def dead_letters(status):
    """Return the number of messages in each dead-letter queue."""
    names = {queue["dead_letters"] for queue in status["queues"]}
    return {f"messages in {queue['name']}": queue["visible"] + queue["in_flight"] for queue in status["queues"] if queue["name"] in names}
