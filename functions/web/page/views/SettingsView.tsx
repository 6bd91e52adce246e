/** The user's settings, one section at a time. */

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ApiKey, AuditEvent, Page, Session, SharedLink, Tool, User } from "../api/types.ts";
import { Button, Field, Form, Secret, Spinner, Switch } from "../components/controls.tsx";
import { Icon, type IconName } from "../components/Icon.tsx";
import { confirmDeletion, Dialog, openDialog } from "../components/overlays.tsx";
import { notify, report } from "../state/notices.ts";
import { type Theme, theme } from "../state/preferences.ts";
import { href } from "../state/router.ts";
import { api, leave, models, signOut, user } from "../state/session.ts";
import { date, dateTime } from "../text/format.ts";
import { t } from "../text/index.ts";
import { ImportPanel } from "./ImportPanel.tsx";
import { PasskeysSection } from "./PasskeysSection.tsx";
import { SchedulesSection } from "./SchedulesSection.tsx";
import { SecondFactorSection } from "./SecondFactorSection.tsx";
import { Topbar } from "./Topbar.tsx";
import { UsageSection } from "./UsageSection.tsx";
import { WebhooksSection } from "./WebhooksSection.tsx";

const SECTIONS: Record<string, { icon: IconName; view: () => ComponentChildren }> = {
  profile: { icon: "user", view: () => <Profile /> },
  appearance: { icon: "sun", view: () => <Appearance /> },
  usage: { icon: "chart", view: () => <UsageSection /> },
  tools: { icon: "tool", view: () => <Tools /> },
  schedules: { icon: "clock", view: () => <SchedulesSection /> },
  webhooks: { icon: "bolt", view: () => <WebhooksSection /> },
  keys: { icon: "key", view: () => <Keys /> },
  security: { icon: "shield", view: () => <Security /> },
  links: { icon: "share", view: () => <Links /> },
  data: { icon: "download", view: () => <Data /> },
};

export function SettingsView({ section }: { section: string }) {
  const current = SECTIONS[section] ? section : "profile";
  return (
    <div class="screen">
      <Topbar title={t.settings.title} />
      <div class="screen-body has-tabs">
        <nav class="tabs" aria-label={t.settings.title}>
          {Object.entries(SECTIONS).map(([name, { icon }]) => (
            <a key={name} href={href.settings(name)} class="tab" aria-current={name === current ? "page" : undefined}>
              <Icon name={icon} size={18} />
              {t.settings.sections[name as "profile"]}
            </a>
          ))}
        </nav>
        <div class="section" key={current}>
          <h2>{t.settings.sections[current as "profile"]}</h2>
          {SECTIONS[current]?.view()}
        </div>
      </div>
    </div>
  );
}

function Profile() {
  const person = user.value;
  if (!person) return null;
  const change = async (changes: Partial<User>) => {
    user.value = await api.patch<User>("auth/me", changes);
    notify(t.common.saved);
  };
  return (
    <div class="panel">
      <Form submit={t.common.save} onSubmit={({ name }) => change({ display_name: name || null })}>
        <Field label={t.settings.email} value={person.email} readOnly />
        <Field
          label={t.settings.name}
          name="name"
          defaultValue={person.display_name ?? ""}
          maxLength={100}
          autocomplete="name"
          dir="auto"
        />
        <div class="field">
          <label for="default-model">{t.settings.model}</label>
          <select
            id="default-model"
            value={person.default_model ?? ""}
            onChange={(event) => change({ default_model: event.currentTarget.value || null }).catch(report)}
          >
            <option value="">{t.settings.modelDefault}</option>
            {models.value.map((model) => (
              <option key={model.id} value={model.id}>
                {model.id}
              </option>
            ))}
          </select>
        </div>
      </Form>
    </div>
  );
}

function Appearance() {
  return (
    <fieldset class="panel choices">
      <legend>{t.settings.theme}</legend>
      {(["system", "light", "dark"] as Theme[]).map((name) => (
        <label key={name} class="choice">
          <input type="radio" name="theme" checked={theme.value === name} onChange={() => (theme.value = name)} />
          <span class={`swatch is-${name}`} aria-hidden="true" />
          {t.settings.themes[name]}
        </label>
      ))}
    </fieldset>
  );
}

function useList<Item>(path: string): {
  items: Item[] | null;
  reload: () => Promise<void>;
  set: (items: Item[]) => void;
} {
  const [items, set] = useState<Item[] | null>(null);
  const reload = async () => set((await api.get<Page<Item>>(path, { limit: 100 })).items);
  useEffect(() => {
    reload().catch(report);
  }, [path]);
  return { items, reload, set };
}

function Tools() {
  const { items, set } = useList<Tool>("tools");
  const change = async (tool: Tool, changes: Partial<Tool>) => {
    const changed = await api.call<Tool>("PUT", `tools/${encodeURIComponent(tool.name)}`, { body: changes });
    set((items ?? []).map((one) => (one.name === changed.name ? changed : one)));
  };
  return (
    <>
      <p class="lead">{t.settings.toolsLead}</p>
      {items === null && <Spinner label={t.common.loading} />}
      <ul class="cards">
        {items?.map((tool) => (
          <li key={tool.name} class="card is-tall">
            <div class="card-text">
              <p class="card-title">
                <code>{tool.name}</code>
              </p>
              <p class="hint">{tool.description.split("\n")[0]}</p>
              <div class="switches">
                <Switch
                  label={t.settings.toolEnabled}
                  checked={tool.enabled}
                  onChange={(enabled) => change(tool, { enabled }).catch(report)}
                />
                <Switch
                  label={t.settings.toolAsks}
                  checked={tool.requires_approval}
                  onChange={(asks) => change(tool, { requires_approval: asks }).catch(report)}
                />
              </div>
            </div>
          </li>
        ))}
      </ul>
    </>
  );
}

function Keys() {
  const { items, reload } = useList<ApiKey>("auth/api-keys");
  const [created, setCreated] = useState<string | null>(null);
  const revoke = (key: ApiKey) =>
    confirmDeletion(
      t.settings.keyRevokeTitle,
      t.settings.keyRevokeLead(key.name),
      () => api.delete(`auth/api-keys/${key.id}`).then(reload, report),
      t.settings.keyRevoke,
    );
  return (
    <>
      <p class="lead">{t.settings.keysLead}</p>
      {created && <Secret text={created} hint={t.settings.keyShownOnce} />}
      {items?.length === 0 && <p class="hint">{t.settings.keysEmpty}</p>}
      <ul class="cards">
        {items?.map((key) => (
          <li key={key.id} class="card">
            <div class="card-text">
              <p class="card-title" dir="auto">
                {key.name}
              </p>
              <p class="hint">
                {key.scopes.join(", ")} ·{" "}
                {t.settings.keyLastUsed(key.last_used_at ? date(key.last_used_at) : t.common.never)} ·{" "}
                {t.settings.keyExpires(date(key.expires_at))}
              </p>
            </div>
            <Button kind="quiet" onClick={() => revoke(key)}>
              {t.settings.keyRevoke}
            </Button>
          </li>
        ))}
      </ul>
      <div class="panel">
        <Form
          key={created}
          submit={t.settings.keyCreate}
          onSubmit={async ({ name, password }) => {
            const key = await api.post<ApiKey>(
              "auth/api-keys",
              { name, password: password || null },
              { idempotencyKey: crypto.randomUUID() },
            );
            setCreated(key.key ?? null);
            await reload();
          }}
        >
          <Field label={t.settings.keyName} name="name" required maxLength={100} autocomplete="off" />
          <Field
            label={t.settings.keyPassword}
            name="password"
            type="password"
            autocomplete="current-password"
            hint={t.settings.noPassword}
          />
        </Form>
      </div>
    </>
  );
}

function Security() {
  const sessions = useList<Session>("auth/sessions");
  const audit = useList<AuditEvent>("auth/audit");
  const [round, setRound] = useState(0);
  return (
    <>
      <div class="panel">
        <h3>{t.settings.password}</h3>
        <Form
          key={round}
          submit={t.settings.changePassword}
          onSubmit={async ({ current, next }) => {
            await api.post("auth/password", { current_password: current, new_password: next });
            notify(t.settings.passwordChanged);
            setRound(round + 1);
            await sessions.reload();
          }}
        >
          <Field
            label={t.settings.currentPassword}
            name="current"
            type="password"
            required
            autocomplete="current-password"
          />
          <Field
            label={t.settings.newPassword}
            name="next"
            type="password"
            required
            autocomplete="new-password"
            hint={t.register.passwordHint}
          />
        </Form>
      </div>
      <SecondFactorSection onChange={sessions.reload} />
      <PasskeysSection />
      <div class="panel">
        <h3>{t.settings.sessions}</h3>
        <ul class="rows">
          {sessions.items?.map((session) => (
            <li key={session.id}>
              <div>
                <p dir="auto">{session.client_name ?? browserOf(session.user_agent)}</p>
                <p class="hint">
                  {session.address ?? t.common.unknown} · {dateTime(session.last_used_at)}
                </p>
              </div>
              {session.current ? (
                <span class="tag">{t.settings.thisSession}</span>
              ) : (
                <Button
                  kind="quiet"
                  onClick={() => api.delete(`auth/sessions/${session.id}`).then(sessions.reload, report)}
                >
                  {t.settings.endSession}
                </Button>
              )}
            </li>
          ))}
        </ul>
        <Button onClick={() => signOut(true)}>{t.settings.signOutEverywhere}</Button>
      </div>
      <div class="panel">
        <h3>{t.settings.activity}</h3>
        <ul class="rows">
          {audit.items?.slice(0, 30).map((event) => (
            <li key={event.id}>
              <span>{event.event.replaceAll("_", " ")}</span>
              <span class="hint">
                {event.address ?? ""} · {dateTime(event.at)}
              </span>
            </li>
          ))}
        </ul>
      </div>
    </>
  );
}

/** A user agent's browser and system, or its beginning. */
function browserOf(agent: string | null): string {
  if (!agent) return t.common.unknown;
  const browser = /(Edg|OPR|Firefox|Chrome|Safari)\/[\d]+/
    .exec(agent)?.[0]
    ?.replace("/", " ")
    .replace("Edg", "Edge")
    .replace("OPR", "Opera");
  const system = /(Windows|Mac OS X|Android|iPhone|iPad|Linux)/.exec(agent)?.[0]?.replace("Mac OS X", "macOS");
  return browser ? [browser, system].filter(Boolean).join(" · ") : agent.slice(0, 60);
}

function Links() {
  const { items, reload } = useList<SharedLink>("links");
  return (
    <div class="panel">
      <p class="hint">{t.share.listLead}</p>
      {items?.length === 0 && <p class="hint">{t.share.empty}</p>}
      <ul class="rows">
        {items?.map((link) => (
          <li key={link.id}>
            <div>
              <strong dir="auto">{link.title ?? t.sidebar.untitled}</strong>
              <p class="hint">
                {t.share.audiences[link.audience]} · {t.share.until(date(link.expires_at))}
              </p>
            </div>
            <Button kind="quiet" onClick={() => api.delete(`links/${link.id}`).then(reload, report)}>
              {t.share.revoke}
            </Button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Data() {
  return (
    <>
      <Export />
      <ImportPanel />
      <div class="panel">
        <h3>{t.settings.deleteTitle}</h3>
        <p class="hint">{t.settings.deleteLead}</p>
        <Button kind="danger" onClick={() => openDialog((close) => <DeleteAccount close={close} />)}>
          {t.settings.deleteConfirm}
        </Button>
      </div>
    </>
  );
}

interface ExportInfo {
  id: string;
  status: string;
  url: string | null;
}

function Export() {
  const [current, setCurrent] = useState<ExportInfo | null>(null);
  const isWaiting = current !== null && current.url === null;
  useEffect(() => {
    if (!isWaiting) return;
    const timer = setInterval(
      () => api.get<ExportInfo>(`auth/me/exports/${current.id}`).then(setCurrent, report),
      1500,
    );
    return () => clearInterval(timer);
  }, [isWaiting]);
  return (
    <div class="panel">
      <h3>{t.settings.exportTitle}</h3>
      <p class="hint">{t.settings.exportLead}</p>
      {current?.url ? (
        <a class="button is-primary" href={current.url} download target="_blank" rel="noopener noreferrer">
          <Icon name="download" size={18} />
          <span>{t.settings.exportReady}</span>
        </a>
      ) : (
        <Button disabled={isWaiting} onClick={() => api.post<ExportInfo>("auth/me/exports").then(setCurrent, report)}>
          {isWaiting ? t.settings.exportWaiting : t.settings.exportStart}
        </Button>
      )}
    </div>
  );
}

function DeleteAccount({ close }: { close: () => void }) {
  return (
    <Dialog title={t.settings.deleteTitle} onClose={close}>
      <p>{t.settings.deleteLead}</p>
      <Form
        submit={t.settings.deleteConfirm}
        kind="danger"
        onSubmit={async ({ password }) => {
          await api.delete("auth/me", { password: password || null });
          close();
          api.forget();
          leave();
          notify(t.settings.deleted);
        }}
      >
        <Field
          label={t.settings.keyPassword}
          name="password"
          type="password"
          autocomplete="current-password"
          hint={t.settings.noPassword}
        />
      </Form>
    </Dialog>
  );
}
