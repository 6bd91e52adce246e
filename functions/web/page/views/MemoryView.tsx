import { useEffect, useState } from "preact/hooks";
import type { Fact, Page, User } from "../api/types.ts";
import { Button, Empty, Field, Form, IconButton, Spinner, Switch } from "../components/controls.tsx";
import { Dialog, openDialog } from "../components/overlays.tsx";
import { report } from "../state/notices.ts";
import { href } from "../state/router.ts";
import { api, persist, user } from "../state/session.ts";
import { date } from "../text/format.ts";
import { t } from "../text/index.ts";
import { Topbar } from "./Topbar.tsx";

export function MemoryView() {
  const [facts, setFacts] = useState<Fact[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [showsReplaced, setShowsReplaced] = useState(false);
  const load = async () => {
    const page = await persist(() => api.get<Page<Fact>>("memories", { limit: 100 }));
    setFacts(page.items);
    setCursor(page.next_cursor);
  };
  const loadMore = async () => {
    const page = await api.get<Page<Fact>>("memories", { limit: 100, cursor });
    setFacts((before) => [...(before ?? []), ...page.items]);
    setCursor(page.next_cursor);
  };
  useEffect(() => {
    load().catch(report);
  }, []);
  const current = facts?.filter((fact) => fact.ended_at === null) ?? [];
  const replaced = facts?.filter((fact) => fact.ended_at !== null) ?? [];
  const toggle = async (isOn: boolean) => {
    user.value = await api.patch<User>("auth/me", { memory_enabled: isOn });
  };
  return (
    <div class="screen">
      <Topbar title={t.memory.title} />
      <div class="screen-body">
        <p class="lead">{t.memory.lead}</p>
        <div class="panel">
          <Switch
            label={t.memory.toggle}
            hint={t.memory.toggleHint}
            checked={user.value?.memory_enabled ?? true}
            onChange={(isOn) => toggle(isOn).catch(report)}
          />
        </div>
        <Add onAdded={load} />
        {facts === null && <Spinner label={t.common.loading} />}
        {facts !== null && current.length === 0 && (
          <Empty icon="brain" title={t.memory.empty} lead={t.memory.emptyLead} />
        )}
        <ul class="cards">
          {current.map((fact) => (
            <FactCard key={fact.id} fact={fact} onChanged={load} />
          ))}
        </ul>
        {cursor !== null && (
          <Button kind="quiet" onClick={() => loadMore().catch(report)}>
            {t.common.more}
          </Button>
        )}
        {replaced.length > 0 && (
          <>
            <Button kind="quiet" onClick={() => setShowsReplaced(!showsReplaced)}>
              {t.memory.showReplaced}
            </Button>
            {showsReplaced && (
              <ul class="cards is-faded">
                {replaced.map((fact) => (
                  <FactCard key={fact.id} fact={fact} onChanged={load} />
                ))}
              </ul>
            )}
          </>
        )}
      </div>
    </div>
  );
}

function Add({ onAdded }: { onAdded: () => Promise<void> }) {
  const [round, setRound] = useState(0);
  return (
    <div class="panel">
      <Form
        key={round}
        submit={t.memory.add}
        onSubmit={async ({ text }) => {
          await api.post("memories", { text }, { idempotencyKey: crypto.randomUUID() });
          setRound(round + 1);
          await onAdded();
        }}
      >
        <Field
          label={t.memory.addLabel}
          name="text"
          required
          maxLength={1000}
          hint={t.memory.addHint}
          dir="auto"
          autocomplete="off"
        />
      </Form>
    </div>
  );
}

function FactCard({ fact, onChanged }: { fact: Fact; onChanged: () => Promise<void> }) {
  const forget = () => api.delete(`memories/${fact.id}`).then(onChanged, report);
  const correct = () => openDialog((close) => <Correct fact={fact} onChanged={onChanged} close={close} />);
  return (
    <li class="card">
      <div class="card-text">
        <p class="card-title" dir="auto">
          {fact.text}
        </p>
        <p class="hint">
          {fact.conversation_id ? <a href={href.chat(fact.conversation_id)}>{t.memory.extracted}</a> : t.memory.byYou}
          {` · ${date(fact.created_at)}`}
          {fact.ended_at !== null && ` · ${t.memory.replaced}`}
        </p>
      </div>
      {fact.ended_at === null && (
        <IconButton icon="edit" label={`${t.memory.correct}: ${fact.text}`} onClick={correct} />
      )}
      <IconButton icon="trash" label={`${t.memory.forget}: ${fact.text}`} onClick={forget} />
    </li>
  );
}

function Correct({ fact, onChanged, close }: { fact: Fact; onChanged: () => Promise<void>; close: () => void }) {
  return (
    <Dialog title={t.memory.correct} onClose={close}>
      <Form
        submit={t.common.save}
        onSubmit={async ({ text }) => {
          await api.patch(`memories/${fact.id}`, { text });
          close();
          await onChanged();
        }}
      >
        <Field
          label={t.memory.addLabel}
          name="text"
          required
          maxLength={1000}
          defaultValue={fact.text}
          dir="auto"
          autofocus
        />
      </Form>
    </Dialog>
  );
}
