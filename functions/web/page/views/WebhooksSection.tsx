/** The user's web hooks, their secrets and what was delivered to them. */

import { useState } from "preact/hooks";
import type { Delivery, Webhook, WebhookEvent } from "../api/types.ts";
import { Field, Form, Secret, Spinner, Switch } from "../components/controls.tsx";
import { confirmDeletion, Dialog, Menu, type MenuItem, openDialog } from "../components/overlays.tsx";
import { usePages } from "../components/paging.tsx";
import { report } from "../state/notices.ts";
import { api } from "../state/session.ts";
import { dateTime } from "../text/format.ts";
import { t } from "../text/index.ts";

const EVENTS = Object.keys(t.webhooks.names) as WebhookEvent[];

type Reload = () => Promise<void>;

export function WebhooksSection() {
  const { items, reload, more } = usePages<Webhook>("webhooks");
  const [secret, setSecret] = useState<string | null>(null);
  const [events, setEvents] = useState(EVENTS);
  const add = async ({ url }: Record<string, string>) => {
    const made = await api.post<Webhook>("webhooks", { url, events }, { idempotencyKey: crypto.randomUUID() });
    setSecret(made.secret ?? null);
    setEvents(EVENTS);
    await reload();
  };
  const rotate = async (webhook: Webhook) => {
    const made = await api.post<Webhook>(`webhooks/${webhook.id}/rotate-secret`);
    setSecret(made.secret ?? null);
  };
  return (
    <>
      <p class="lead">{t.webhooks.lead}</p>
      {secret && <Secret text={secret} hint={t.webhooks.secret} />}
      {items === null && <Spinner label={t.common.loading} />}
      {items?.length === 0 && <p class="hint">{t.webhooks.empty}</p>}
      <ul class="cards">
        {items?.map((webhook) => (
          <WebhookCard key={webhook.id} webhook={webhook} reload={reload} rotate={rotate} />
        ))}
      </ul>
      {more}
      <div class="panel">
        <Form key={secret} submit={t.webhooks.add} onSubmit={add} disabled={events.length === 0}>
          <Field
            label={t.webhooks.url}
            name="url"
            type="url"
            required
            maxLength={2000}
            autocomplete="off"
            hint={t.webhooks.urlHint}
          />
          <EventChoices chosen={events} onChange={setEvents} />
        </Form>
      </div>
    </>
  );
}

interface WebhookCardProps {
  webhook: Webhook;
  reload: Reload;
  rotate: (webhook: Webhook) => Promise<void>;
}

function WebhookCard({ webhook, reload, rotate }: WebhookCardProps) {
  const isOff = webhook.disabled_at !== null;
  const offText = webhook.failures > 0 ? t.webhooks.offByFailures : t.webhooks.off;
  return (
    <li class="card">
      <div class="card-text">
        <p class="card-title">{webhook.url}</p>
        <p class="hint">{webhook.events.map((event) => t.webhooks.names[event]).join(" · ")}</p>
      </div>
      <span class={isOff ? "tag is-off" : "tag"}>{isOff ? offText : t.webhooks.on}</span>
      <Menu label={t.webhooks.options(webhook.url)} items={menuItems(webhook, reload, rotate)} />
    </li>
  );
}

function menuItems(webhook: Webhook, reload: Reload, rotate: WebhookCardProps["rotate"]): MenuItem[] {
  const path = `webhooks/${webhook.id}`;
  const isOff = webhook.disabled_at !== null;
  const { deleteTitle, deleteLead, rotateTitle, rotateLead } = t.webhooks;
  const remove = () => api.delete(path).then(reload, report);
  return [
    {
      icon: "pulse",
      label: t.webhooks.deliveries,
      onSelect: () => openDialog((close) => <Deliveries path={`${path}/deliveries`} close={close} />),
    },
    {
      icon: "edit",
      label: t.webhooks.edit,
      onSelect: () => openDialog((close) => <EventsDialog webhook={webhook} reload={reload} close={close} />),
    },
    {
      icon: isOff ? "play" : "pause",
      label: isOff ? t.webhooks.enable : t.webhooks.disable,
      onSelect: () => api.patch(path, { enabled: isOff }).then(reload, report),
    },
    {
      icon: "key",
      label: t.webhooks.rotate,
      onSelect: () => confirmDeletion(rotateTitle, rotateLead, () => rotate(webhook).catch(report), t.webhooks.rotate),
    },
    {
      icon: "trash",
      label: t.common.delete,
      danger: true,
      onSelect: () => confirmDeletion(deleteTitle, deleteLead(webhook.url), remove),
    },
  ];
}

interface EventChoicesProps {
  chosen: WebhookEvent[];
  onChange: (events: WebhookEvent[]) => void;
}

function EventChoices({ chosen, onChange }: EventChoicesProps) {
  return (
    <fieldset class="form">
      <legend class="visually-hidden">{t.webhooks.events}</legend>
      {EVENTS.map((event) => (
        <Switch
          key={event}
          label={t.webhooks.names[event]}
          checked={chosen.includes(event)}
          onChange={(isOn) => onChange(EVENTS.filter((one) => (one === event ? isOn : chosen.includes(one))))}
        />
      ))}
    </fieldset>
  );
}

interface WebhookDialogProps {
  webhook: Webhook;
  reload: Reload;
  close: () => void;
}

function EventsDialog({ webhook, reload, close }: WebhookDialogProps) {
  const [events, setEvents] = useState(webhook.events);
  const save = async () => {
    await api.patch(`webhooks/${webhook.id}`, { events });
    close();
    await reload();
  };
  return (
    <Dialog title={t.webhooks.edit} onClose={close}>
      <Form submit={t.common.save} onSubmit={save} disabled={events.length === 0}>
        <EventChoices chosen={events} onChange={setEvents} />
      </Form>
    </Dialog>
  );
}

function Deliveries({ path, close }: { path: string; close: () => void }) {
  const { items, more } = usePages<Delivery>(path);
  return (
    <Dialog title={t.webhooks.deliveries} onClose={close} wide>
      {items === null && <Spinner label={t.common.loading} />}
      {items?.length === 0 && <p class="hint">{t.webhooks.deliveriesEmpty}</p>}
      <ul class="rows">
        {items?.map((delivery) => (
          <li key={delivery.id}>
            <div>
              <p>{t.webhooks.names[delivery.type]}</p>
              <p class="hint">
                {[
                  dateTime(delivery.created_at),
                  t.webhooks.attempts(delivery.attempts),
                  delivery.response_status ?? delivery.error ?? "",
                ]
                  .filter(Boolean)
                  .join(" · ")}
              </p>
            </div>
            <span class={delivery.status === "failed" ? "tag is-off" : "tag"}>
              {t.webhooks.statuses[delivery.status]}
            </span>
          </li>
        ))}
      </ul>
      {more}
    </Dialog>
  );
}
