"""States of a user's rows in which the functions of `parley.db` find something to do. No argument of a call can name them."""

from datetime import UTC, datetime

NOW = datetime.now(UTC)
# Of all functions.
PREPARATIONS = (
    "UPDATE credentials SET verified_email = email FROM users WHERE user_id = id AND id = :owner",
    "UPDATE messages SET parts = parts || jsonb_build_array(jsonb_build_object('type', 'image', 'id', id)) WHERE user_id = :owner",
    "UPDATE conversations SET last_seq = 1, mined_upto_seq = 0, updated_at = now() - interval '9 days' WHERE user_id = :owner",
    "UPDATE documents SET chunks = 1 WHERE user_id = :owner",
    "UPDATE memories SET ended_at = NULL WHERE user_id = :owner",
    "UPDATE turns SET status = 'running', held = NULL, input_tokens = 1, output_tokens = 1, cost_usd = 1 WHERE user_id = :owner",
    "UPDATE turn_events SET name = 'turn.waiting' WHERE user_id = :owner",
    "UPDATE tool_settings SET name = 'server.tool' WHERE user_id = :owner",
    "UPDATE rate_limits SET subject_id = user_id WHERE user_id = :owner",
    "UPDATE budgets SET subject_id = user_id, spent_usd = 1, month = date_trunc('month', now()) WHERE user_id = :owner",
    "UPDATE budget_reservations r SET subject_id = r.user_id, turn_id = t.id FROM turns t WHERE r.user_id = :owner AND t.user_id = :owner",
    "UPDATE usage u SET turn_id = t.id FROM turns t WHERE u.user_id = :owner AND t.user_id = :owner",
    "UPDATE outbox o SET topic = 'summary', subject_id = c.id FROM conversations c WHERE o.user_id = :owner AND c.user_id = :owner",
    "UPDATE webhooks SET events = '{turn.waiting_for_approval}', failures = 1 WHERE user_id = :owner",
    "UPDATE imports SET status = 'processing' WHERE user_id = :owner",
    "UPDATE exports SET ready_at = now() WHERE user_id = :owner",
    'UPDATE responses SET previous_id = NULL, document = \'{"output": [{"text": "secret"}]}\' WHERE user_id = :owner',
)
_ONLY_TEXT = 'UPDATE messages SET parts = \'[{"type": "text", "text": "secret"}]\' WHERE user_id = :owner'
_LEASED = f"leased_until = '{NOW.isoformat()}' WHERE user_id = :owner"
# Further preparations of single functions, in the transaction of the call.
STATES = {
    "responses.record_pieces": "UPDATE responses SET heartbeat_at = now() WHERE user_id = :owner",
    "responses.finish": "UPDATE responses SET heartbeat_at = now() WHERE user_id = :owner",
    "budgets.key_budget": "UPDATE api_keys SET monthly_budget_usd = 5 WHERE user_id = :owner",
    "turn_begin.store_turn": "UPDATE turns SET status = 'completed' WHERE user_id = :owner",
    "summaries.lacking_tokens": "UPDATE messages SET seq = 5 WHERE user_id = :owner",
    "approvals.asking_calls": 'UPDATE approvals SET question = \'{"call_id": "secret"}\', is_approved = NULL WHERE user_id = :owner',
    "turn_checkpoint.resume": "UPDATE turns SET status = 'waiting' WHERE user_id = :owner",
    "turn_checkpoint.read_checkpoint": 'UPDATE turns SET held = \'{"cost_usd": "1", "rounds": 7}\' WHERE user_id = :owner',
    "documents.mark_failed": f"UPDATE documents SET status = 'processing', {_LEASED}",
    **{f"documents.{name}": f"UPDATE documents SET {_LEASED}" for name in ("renew_lease", "report_progress", "requeue", "mark_ready")},
    **{f"documents.{name}": f"UPDATE documents SET {_LEASED}" for name in ("set_content_hash", "set_chunk_count")},
    "documents.take_waiting": "UPDATE documents SET is_waiting = true WHERE user_id = :owner",
    "documents.lock_processed": "UPDATE documents SET has_worker = true, leased_until = now() + interval '1 hour' WHERE user_id = :owner",
    "documents.release_lease": f"UPDATE documents SET has_worker = true, {_LEASED}",
    "chunks.without_description": "UPDATE chunks SET description = NULL WHERE user_id = :owner",
    "chunks.are_all_described": "UPDATE chunks SET description = NULL WHERE user_id = :owner",
    "chunks.has_undescribed_vectors": "UPDATE chunks SET description = NULL, embedding_model = 'other' WHERE user_id = :owner",
    "chunks.with_neighbour": "UPDATE chunks SET number = 2 WHERE user_id = :owner",
    "memories.forgotten_among": "UPDATE messages SET is_forgotten = true WHERE user_id = :owner",
    "conversations.set_generated_title": "UPDATE conversations SET title = NULL WHERE user_id = :owner",
    "idempotency.release": "UPDATE idempotency_keys SET answer = NULL WHERE user_id = :owner",
    "turn_begin.release_key": "UPDATE turns SET started_at = now() - interval '2 days' WHERE user_id = :owner",
    "projects.remove_empty": "UPDATE conversations SET project_id = NULL WHERE user_id = :owner",
    "feedback.put": "UPDATE messages SET role = 'assistant' WHERE user_id = :owner",
    **dict.fromkeys(("search.search_facts", "search.search_passages", "messages.text_at"), _ONLY_TEXT),
}
