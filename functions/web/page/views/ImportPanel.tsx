/** Import of conversations: a file chooser, the progress, and the reports of earlier imports. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { ImportInfo, Page, UploadForm } from "../api/types.ts";
import { Button, Switch } from "../components/controls.tsx";
import { maySendToStore, postToStore } from "../state/documents.ts";
import { notify, report } from "../state/notices.ts";
import { api } from "../state/session.ts";
import { dateTime } from "../text/format.ts";
import { t } from "../text/index.ts";

const POLL_MS = 1500;
const SHOWN = 5;

export function ImportPanel() {
  const [imports, setImports] = useState<ImportInfo[] | null>(null);
  const [readsFacts, setReadsFacts] = useState(false);
  const [isSending, setSending] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const reload = async () =>
    setImports((await api.get<Page<ImportInfo>>("conversations/imports", { limit: SHOWN })).items);
  const isOpen = imports?.some((one) => one.status === "queued" || one.status === "processing") ?? false;
  useEffect(() => {
    reload().catch(report);
  }, []);
  useEffect(() => {
    if (!isOpen) return;
    const timer = setInterval(() => reload().catch(report), POLL_MS);
    return () => clearInterval(timer);
  }, [isOpen]);
  const take = async (file: File) => {
    if (!(await maySendToStore())) {
      notify(t.settings.importNotAllowed, "error");
      return;
    }
    setSending(true);
    try {
      const body = { filename: file.name, bytes: file.size, read_facts: readsFacts };
      const announced = await api.call<UploadForm>("POST", "conversations/imports", {
        body,
        idempotencyKey: crypto.randomUUID(),
      });
      if (!(await postToStore(announced, file))) notify(t.settings.importFailed, "error");
      await reload();
    } finally {
      setSending(false);
    }
  };
  return (
    <div class="panel">
      <h3>{t.settings.importTitle}</h3>
      <p class="hint">{t.settings.importLead}</p>
      <Switch label={t.settings.importFacts} checked={readsFacts} onChange={setReadsFacts} />
      <Button disabled={isSending} onClick={() => picker.current?.click()}>
        {isSending ? t.settings.importSending : t.settings.importStart}
      </Button>
      <input
        ref={picker}
        type="file"
        class="visually-hidden"
        tabIndex={-1}
        aria-hidden="true"
        accept=".zip,.json"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          if (file) take(file).catch(report);
          event.currentTarget.value = "";
        }}
      />
      {imports?.length === 0 && <p class="hint">{t.settings.importEmpty}</p>}
      <ul class="rows">
        {imports?.map((one) => (
          <li key={one.id}>
            <Report of={one} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function Report({ of: one }: { of: ImportInfo }) {
  const isOpen = one.status === "queued" || one.status === "processing";
  return (
    <div>
      <p dir="auto">{one.filename}</p>
      {isOpen ? (
        <>
          <p class="hint">{t.settings.importRunning(Math.round(100 * one.progress))}</p>
          <progress aria-label={one.filename} value={one.progress} max={1} />
        </>
      ) : (
        <p class="hint">
          {dateTime(one.created_at)} ·{" "}
          {t.settings.importResult(one.conversations_added, one.conversations_extended, one.messages_added)}
        </p>
      )}
      {one.error && <p role="alert">{one.error}</p>}
      {one.left_out.map((entry) => (
        <p key={entry.code} class="hint" dir="auto">
          {entry.reason}: {entry.count}
        </p>
      ))}
    </div>
  );
}
