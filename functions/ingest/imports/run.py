"""An import from its file to searchable conversations.

1. Take the lease, so that one worker at a time runs the import.
2. Read the file and store its conversations in batches, each in one transaction with the report and the position in the file. Search
   finds them by words from then on.
3. Embed their passages, so that search finds them by meaning.
4. Mark the import as ready, and delete the file.

Every step is safe to repeat, and an import that takes longer than one invocation continues at its position in the next.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from functions.ingest.errors import Unreadable
from functions.ingest.imports.archive import Archive
from functions.ingest.imports.draft import ExportSource, ReadConversation
from functions.ingest.imports.errors import ExportNotUploaded, ImportFailed, ImportGivenUp, LeftOut, UnknownExport, WrongSize
from functions.ingest.imports.parley_prompts import PromptLeftOut, store_prompt
from functions.ingest.imports.reader import ReadResult, read_conversations
from functions.ingest.imports.report import Report
from functions.ingest.messages import ImportMessage
from functions.ingest.services import IngestServices
from parley.aws.s3 import FileMissing
from parley.clock import utc_now
from parley.db import outbox, passages
from parley.db.assistants.prompts import ImportedPrompt
from parley.db.engine import Connection
from parley.db.imports import imported_conversations, imports
from parley.db.imports.imported_conversations import IdsTaken
from parley.db.imports.imports import Import
from parley.db.transactions import user_scope
from parley.deadline import Deadline
from parley.errors import NotFound, Unavailable
from parley.ingest_queue import UPLOAD_FORM_LIFETIME_S
from parley.llm.catalogue import NoModel
from parley.llm.errors import ProviderFailed
from parley.metering.limits import BillingSubject, BudgetExhausted
from parley.observability import logger

LEASE_S = 60.0
MAX_FAILURES = 3
UPLOAD_LIFETIME = timedelta(hours=24)
# Conversations of one transaction: few enough to hold its locks for a fraction of a second.
BATCH = 20
# A batch takes the built-in model about a second. On a busy machine, a smaller one is in time where a larger one is not.
EMBED_BATCH, MIN_EMBED_BATCH = 64, 4
# Storing is the first half of the progress, and embedding the second.
STORED_PROGRESS = 0.5
# Enough for one more batch, and for queueing the import again.
_BATCH_TIME_S = 30.0
_PROVIDER_PAUSE_S = 60.0
_SQS_MAX_DELAY_S = 900.0


class _Interrupted(Exception):
    """The import must continue in another invocation, after `delay_s`. Unless it is excused, the attempt counts as a failure."""

    def __init__(self, *, delay_s: float = 0.0, is_excused: bool = True) -> None:
        super().__init__(f"delay_s={delay_s}")
        self.delay_s, self.is_excused = delay_s, is_excused


def run_import(services: IngestServices, message: ImportMessage, *, deadline: Deadline) -> None:
    """Run an import until it is ready or failed, or queue it again shortly before the deadline.

    Raises NotFound if its user was deleted, and Unavailable.
    """
    try:
        with user_scope(services.engine, message.user_id) as connection:
            run = imports.acquire_lease(connection, message.import_id, user_id=message.user_id, lease_s=LEASE_S)
    except NotFound:
        services.import_files.delete(message.file_key)
        raise
    if run is None:
        logger.info("import_skipped", import_id=str(message.import_id))
        return
    try:
        _run(services, run, message, deadline)
    except FileMissing:
        _wait_for_file(services, run)
    except _Interrupted as exc:
        _release(services, run, is_excused=exc.is_excused)
        services.queue.send_import(run.id, user_id=run.user_id, delay_s=exc.delay_s)
    except ImportFailed as exc:
        _end(services, run, message, exc)
    except NotFound:
        raise
    except Exception as exc:
        _release(services, run, is_excused=isinstance(exc, Unavailable))
        raise


def _run(services: IngestServices, run: Import, message: ImportMessage, deadline: Deadline) -> None:
    if run.failures > MAX_FAILURES:
        raise ImportGivenUp(f"{MAX_FAILURES} attempts")
    report = Report.of(run)
    if run.progress < STORED_PROGRESS:
        _store_all(services, run, message, report, deadline)
    _embed(services, run, report, deadline)
    _end(services, run, message, None)


def _store_all(services: IngestServices, run: Import, message: ImportMessage, report: Report, deadline: Deadline) -> None:
    """Store the conversations that follow the import's position. Raises ImportFailed, FileMissing, Unavailable and _Interrupted."""
    try:
        with services.import_files.local_copy(message.file_key, size=run.bytes) as (path, _), Archive.opened(path) as archive:
            services.queue.send_import(run.id, user_id=run.user_id, delay_s=min(deadline.left_s + LEASE_S * 1.5, _SQS_MAX_DELAY_S))
            source = ExportSource(run.user_id, archive)
            results = read_conversations(source, has_image=services.import_files.has)
            for _ in islice(results, run.position):
                pass
            source.left_out.clear()  # of the conversations before, which are in the report already
            for batch in _batches(results):
                _store_batch(services, run, batch, source.left_out, report)
                if deadline.left_s < _BATCH_TIME_S:
                    raise _Interrupted
    except Unreadable as exc:
        raise WrongSize(str(exc)) from exc
    if report.program is None:
        raise UnknownExport("no conversations")
    _report(services, run, report, progress=STORED_PROGRESS)


def _batches(results: Iterator[ReadResult]) -> Iterator[Sequence[ReadResult]]:
    """Yield the results in batches. If the file breaks off, the conversations before that place come first, and then the error."""
    batch: list[ReadResult] = []
    try:
        for result in results:
            batch.append(result)
            if len(batch) >= BATCH:
                yield batch
                batch = []
    except ImportFailed:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _store_batch(services: IngestServices, run: Import, batch: Sequence[ReadResult], left_out: Counter[str], report: Report) -> None:
    """Store a batch and its report in one transaction. Images are stored before, so that no stored message lacks its image."""
    keys = _store_images(services, run, [result.read for result in batch if isinstance(result.read, ReadConversation)])
    next_report = report.copy()
    next_report.count_parts(left_out)
    try:
        with user_scope(services.engine, run.user_id) as connection:
            imported_conversations.lock_user(connection, user_id=run.user_id)
            kept_since = _kept_since(connection, services, user_id=run.user_id)
            for result in batch:
                _store_result(connection, run, result, next_report, kept_since)
            imports.report_progress(
                connection,
                run.id,
                user_id=run.user_id,
                lease_s=LEASE_S,
                progress=STORED_PROGRESS * min(batch[-1].done, 0.99),
                **next_report.columns(),
            )
    except NotFound:
        with user_scope(services.engine, run.user_id) as connection:
            # If another worker has ended the import, its messages refer to the same images.
            is_deleted = not imports.exists(connection, run.id, user_id=run.user_id)
        for key in keys if is_deleted else ():
            services.import_files.delete(key)
        raise
    left_out.clear()
    report.take(next_report)


def _store_images(services: IngestServices, run: Import, conversations: Iterable[ReadConversation]) -> list[str]:
    """Store the images of conversations that have something new, and return their keys. Nothing would delete those of one left out."""
    with_images = [each for each in conversations if each.images]
    if not with_images:
        return []
    with user_scope(services.engine, run.user_id) as connection:
        kept_since = _kept_since(connection, services, user_id=run.user_id)
        new = [
            each
            for each in with_images
            if each.conversation.updated_at >= kept_since
            and imported_conversations.find_place(connection, each.conversation, user_id=run.user_id).stored < len(each.conversation.active)
        ]
    images = {key: image for each in new for key, image in each.images.items()}
    for key, image in images.items():
        services.import_files.put(key, image.content, media_type=image.media_type)
    return list(images)


def _kept_since(connection: Connection, services: IngestServices, *, user_id: UUID) -> datetime:
    """Return the time before which a conversation's last activity is too long ago: it would be deleted on the same day."""
    days = imported_conversations.retention_days(connection, user_id=user_id)
    days = services.retention_days if days is None else days
    return utc_now() - timedelta(days=days) if days else datetime.min.replace(tzinfo=UTC)


def _store_result(connection: Connection, run: Import, result: ReadResult, report: Report, kept_since: datetime) -> None:
    report.count_position(result.program)
    if isinstance(result.read, LeftOut):
        report.leave_out(result.read.code, result.title)
        return
    if isinstance(result.read, ImportedPrompt):
        if not store_prompt(connection, result.read, user_id=run.user_id):
            report.leave_out(PromptLeftOut.code, result.title)
        return
    conversation = result.read.conversation
    if conversation.updated_at < kept_since:
        report.leave_out("expired", result.title)
        return
    try:
        stored = imported_conversations.store(connection, conversation, user_id=run.user_id, reads_facts=run.reads_facts)
    except IdsTaken:
        report.leave_out("malformed", result.title)
        return
    report.count_stored(stored)
    if run.reads_facts and stored.outcome != "unchanged" and not conversation.is_incognito:
        # Sent when it is due, a quarter of an hour later: the imported past is in no hurry.
        outbox.request_memory_update(connection, stored.conversation_id, user_id=run.user_id)


def _embed(services: IngestServices, run: Import, report: Report, deadline: Deadline) -> None:
    """Embed the user's passages without vectors.

    If the model fails, later invocations try again. If no model or no budget is available, or the model keeps failing, the daily schedule
    of follow-up work embeds the rest.
    """
    try:
        _embed_all(services, run, deadline)
    except (BudgetExhausted, NoModel, ProviderFailed) as exc:
        with user_scope(services.engine, run.user_id) as connection:
            attempts = imports.get(connection, run.id, user_id=run.user_id).failures
        if isinstance(exc, ProviderFailed) and attempts < MAX_FAILURES:
            raise _Interrupted(delay_s=_PROVIDER_PAUSE_S, is_excused=attempts == 0) from exc
        logger.warning("import_without_vectors", import_id=str(run.id), problem=exc.code)
        report.leave_out("vectors", "")
        _report(services, run, report)


def _embed_all(services: IngestServices, run: Import, deadline: Deadline) -> None:
    """Embed passages in batches, in smaller ones after a failure. Raises the errors of the embedder, Unavailable and _Interrupted."""
    begin, total, done, size = max(run.progress, STORED_PROGRESS), 0, 0, EMBED_BATCH
    while (model := services.embedding.model_name()) is not None:
        with user_scope(services.engine, run.user_id) as connection:
            total = total or passages.count_without_vector(connection, user_id=run.user_id, model=model)
            rows = passages.without_vector(connection, user_id=run.user_id, model=model, limit=size)
        if not rows:
            return
        if deadline.left_s < _BATCH_TIME_S:
            raise _Interrupted
        try:
            vectors = services.embedding.vectors([text for _, text in rows], billing_subject=BillingSubject(run.user_id), deadline=deadline)
        except ProviderFailed:
            if size <= MIN_EMBED_BATCH:
                raise
            size //= 4
            continue
        done += len(rows)
        progress = begin + (1 - begin) * min(done / max(total, 1), 0.99)
        with user_scope(services.engine, run.user_id) as connection:
            passages.put_vectors(connection, rows, vectors, user_id=run.user_id)
            imports.report_progress(connection, run.id, user_id=run.user_id, lease_s=LEASE_S, progress=progress)


def _report(services: IngestServices, run: Import, report: Report, **values: Any) -> None:
    with user_scope(services.engine, run.user_id) as connection:
        imports.report_progress(connection, run.id, user_id=run.user_id, lease_s=LEASE_S, **values, **report.columns())


def _end(services: IngestServices, run: Import, message: ImportMessage, problem: ImportFailed | None) -> None:
    """Mark the import as ready, or as failed with `problem`, and delete its file."""
    with user_scope(services.engine, run.user_id) as connection:
        code, reason = (problem.code, problem.public_message) if problem else (None, None)
        imports.finish(connection, run.id, user_id=run.user_id, code=code, reason=reason)
    services.import_files.delete(message.file_key)
    logger.info("import_ended", import_id=str(run.id), problem=problem and problem.code)


def _release(services: IngestServices, run: Import, *, is_excused: bool) -> None:
    with user_scope(services.engine, run.user_id) as connection:
        imports.release_lease(connection, run.id, user_id=run.user_id, is_excused=is_excused)


def _wait_for_file(services: IngestServices, run: Import) -> None:
    """Wait for the notification of the upload, or fail an import that was requested more than a day ago."""
    age = utc_now() - run.created_at
    with user_scope(services.engine, run.user_id) as connection:
        if age > UPLOAD_LIFETIME:
            late = ExportNotUploaded
            imports.finish(connection, run.id, user_id=run.user_id, code=late.code, reason=late.public_message)
        else:
            imports.requeue(connection, run.id, user_id=run.user_id)
    if age < timedelta(seconds=UPLOAD_FORM_LIFETIME_S + _SQS_MAX_DELAY_S):
        services.queue.send_import(run.id, user_id=run.user_id, delay_s=_SQS_MAX_DELAY_S)
