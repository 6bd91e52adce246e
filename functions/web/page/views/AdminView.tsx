/** The administration: users, invites, groups, provisioning, usage, feedback, the audit, and the models and health of the server. */

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Account, DeploymentEvent, Invite, Page, RatedAnswer, UsageGroup } from "../api/types.ts";
import { Button, Field, Form, Secret, Spinner } from "../components/controls.tsx";
import { Icon, type IconName } from "../components/Icon.tsx";
import { Dialog, Menu, openDialog } from "../components/overlays.tsx";
import { usePages } from "../components/paging.tsx";
import { report } from "../state/notices.ts";
import { href } from "../state/router.ts";
import { api, models, user } from "../state/session.ts";
import { date, dollars } from "../text/format.ts";
import { t } from "../text/index.ts";
import { askToEndSessions } from "./EndSessionsDialog.tsx";
import { FundedGroups } from "./GroupBudget.tsx";
import { ScimSection } from "./ScimSection.tsx";
import { Topbar } from "./Topbar.tsx";

const SECTIONS: Record<string, { icon: IconName; view: () => ComponentChildren }> = {
  users: { icon: "user", view: () => <Users /> },
  invites: { icon: "mail", view: () => <Invites /> },
  groups: { icon: "share", view: () => <FundedGroups /> },
  provisioning: { icon: "key", view: () => <ScimSection /> },
  usage: { icon: "chart", view: () => <UsageByGroup /> },
  feedback: { icon: "thumbUp", view: () => <RatedAnswers /> },
  audit: { icon: "shield", view: () => <Audit /> },
  system: { icon: "pulse", view: () => <System /> },
};

export function AdminView({ section }: { section: string }) {
  const current = SECTIONS[section] ? section : "users";
  return (
    <div class="screen">
      <Topbar title={t.admin.title} />
      <div class="screen-body has-tabs is-wide">
        <nav class="tabs" aria-label={t.admin.title}>
          {Object.entries(SECTIONS).map(([name, { icon }]) => (
            <a key={name} href={href.admin(name)} class="tab" aria-current={name === current ? "page" : undefined}>
              <Icon name={icon} size={18} />
              {t.admin.sections[name as "users"]}
            </a>
          ))}
        </nav>
        <div class="section" key={current}>
          <h2>{t.admin.sections[current as "users"]}</h2>
          {SECTIONS[current]?.view()}
        </div>
      </div>
    </div>
  );
}

function Users() {
  const [email, setEmail] = useState("");
  const { items, setItems, more } = usePages<Account>("admin/users", email ? { email } : {});
  const change = async (account: Account, changes: Partial<Account>) => {
    const changed = await api.patch<Account>(`admin/users/${account.id}`, changes);
    setItems((before) => before?.map((one) => (one.id === changed.id ? changed : one)) ?? null);
  };
  return (
    <>
      <div class="search is-field">
        <Icon name="search" size={18} />
        <input
          type="search"
          aria-label={t.admin.searchUsers}
          placeholder={t.admin.searchUsers}
          onInput={(event) => setEmail(event.currentTarget.value.trim())}
        />
      </div>
      {items === null && <Spinner label={t.common.loading} />}
      <Table head={[t.admin.user, t.admin.role, t.admin.budget, t.admin.state, t.admin.since, ""]}>
        {items?.map((account) => (
          <tr key={account.id} class={account.disabled ? "is-faded" : undefined}>
            <td dir="auto">
              {account.email}
              {account.display_name && <small>{account.display_name}</small>}
            </td>
            <td>{account.role}</td>
            <td>{account.monthly_budget_usd === null ? t.admin.budgetDefault : dollars(account.monthly_budget_usd)}</td>
            <td>
              <span class={account.disabled ? "tag is-off" : "tag"}>
                {account.disabled ? t.admin.disabled : t.admin.active}
              </span>
            </td>
            <td>{date(account.created_at)}</td>
            <td>{account.id !== user.value?.id && <UserMenu account={account} change={change} />}</td>
          </tr>
        ))}
      </Table>
      {more}
      <div class="form-actions">
        <Button kind="danger" onClick={() => askToEndSessions()}>
          {t.admin.endSessions.all}
        </Button>
      </div>
    </>
  );
}

type ChangeAccount = (account: Account, changes: Partial<Account>) => Promise<void>;

function UserMenu({ account, change }: { account: Account; change: ChangeAccount }) {
  const isAdmin = account.role === "admin";
  return (
    <Menu
      label={t.admin.options(account.email)}
      items={[
        {
          icon: "chart",
          label: t.admin.setBudget,
          onSelect: () => openDialog((close) => <BudgetDialog account={account} change={change} close={close} />),
        },
        {
          icon: "shield",
          label: isAdmin ? t.admin.makeUser : t.admin.makeAdmin,
          onSelect: () => change(account, { role: isAdmin ? "user" : "admin" }).catch(report),
        },
        { icon: "out", label: t.admin.endSessions.one, onSelect: () => askToEndSessions(account) },
        {
          icon: account.disabled ? "check" : "close",
          label: account.disabled ? t.admin.enable : t.admin.disable,
          danger: !account.disabled,
          onSelect: () => change(account, { disabled: !account.disabled }).catch(report),
        },
      ]}
    />
  );
}

function BudgetDialog({ account, change, close }: { account: Account; change: ChangeAccount; close: () => void }) {
  return (
    <Dialog title={t.admin.setBudget} onClose={close}>
      <Form
        submit={t.common.save}
        onSubmit={async ({ budget }) => {
          await change(account, { monthly_budget_usd: budget ? Number(budget) : null });
          close();
        }}
      >
        <Field
          label={account.email}
          name="budget"
          type="number"
          min={0}
          max={100000}
          step="0.01"
          defaultValue={account.monthly_budget_usd ?? ""}
          hint={t.admin.budgetUsd}
          autofocus
        />
      </Form>
    </Dialog>
  );
}

function Invites() {
  const { items, reload, more } = usePages<Invite>("admin/invites", {});
  const [code, setCode] = useState<string | null>(null);
  return (
    <>
      <div class="panel">
        <Form
          key={code}
          submit={t.admin.invite}
          onSubmit={async ({ email }) => {
            const created = await api.post<Invite>(
              "admin/invites",
              { email: email || null },
              { idempotencyKey: crypto.randomUUID() },
            );
            setCode(created.invite ?? null);
            await reload();
          }}
        >
          <Field label={t.admin.inviteEmail} name="email" type="email" autocomplete="off" />
        </Form>
      </div>
      {code && <Secret text={code} hint={t.admin.inviteCode} />}
      {items?.length === 0 && <p class="hint">{t.admin.invitesEmpty}</p>}
      <ul class="cards">
        {items?.map((invite) => (
          <li key={invite.id} class="card">
            <div class="card-text">
              <p class="card-title">{invite.email ?? t.admin.invitesAnyone}</p>
              <p class="hint">
                {t.admin.expires} {date(invite.expires_at)}
              </p>
            </div>
            <Button kind="quiet" onClick={() => api.delete(`admin/invites/${invite.id}`).then(reload, report)}>
              {t.admin.withdraw}
            </Button>
          </li>
        ))}
      </ul>
      {more}
    </>
  );
}

type Grouping = "user" | "model" | "day";

function UsageByGroup() {
  const [group, setGroup] = useState<Grouping>("user");
  const { items, more } = usePages<UsageGroup>("admin/usage", { group_by: group });
  const [emails, setEmails] = useState<Record<string, string>>({});
  useEffect(() => {
    api
      .get<Page<Account>>("admin/users", { limit: 100 })
      .then((page) => setEmails(Object.fromEntries(page.items.map((account) => [account.id, account.email]))), report);
  }, []);
  const nameOf = (row: UsageGroup) =>
    group === "day"
      ? date(`${row.day}T12:00`)
      : group === "model"
        ? row.model
        : (emails[row.user_id ?? ""] ?? row.user_id);
  return (
    <>
      <fieldset class="segmented">
        <legend class="visually-hidden">{t.admin.usageBy}</legend>
        {(["user", "model", "day"] as Grouping[]).map((name) => (
          <label key={name}>
            <input type="radio" name="group" checked={group === name} onChange={() => setGroup(name)} />
            <span>{t.admin.usageGroups[name]}</span>
          </label>
        ))}
      </fieldset>
      {items === null && <Spinner label={t.common.loading} />}
      {items?.length === 0 && <p class="hint">{t.admin.usageEmpty}</p>}
      {items !== null && items.length > 0 && (
        <Table
          head={[t.admin.usageGroups[group], t.admin.turns, t.admin.tokensIn, t.admin.tokensOut, t.admin.cost]}
          numbersFrom={1}
        >
          {items.map((row) => (
            <tr key={`${row.user_id}-${row.model}-${row.day}`}>
              <td dir="auto">{nameOf(row)}</td>
              <td class="number">{row.turns.toLocaleString(t.locale)}</td>
              <td class="number">{row.input_tokens.toLocaleString(t.locale)}</td>
              <td class="number">{row.output_tokens.toLocaleString(t.locale)}</td>
              <td class="number">{dollars(row.cost_usd)}</td>
            </tr>
          ))}
        </Table>
      )}
      {more}
    </>
  );
}

function RatedAnswers() {
  const { items, more } = usePages<RatedAnswer>("admin/feedback", {});
  return (
    <>
      {items === null && <Spinner label={t.common.loading} />}
      {items?.length === 0 && <p class="hint">{t.admin.feedbackEmpty}</p>}
      {items !== null && items.length > 0 && (
        <Table head={t.admin.feedbackHead}>
          {items.map((row) => (
            <tr key={row.message_id}>
              <td>{date(row.created_at)}</td>
              <td>{t.admin.rating[row.rating]}</td>
              <td dir="auto">{row.model}</td>
              <td dir="auto">{row.reason}</td>
            </tr>
          ))}
        </Table>
      )}
      {more}
    </>
  );
}

function Audit() {
  const [action, setAction] = useState("");
  const { items, more } = usePages<DeploymentEvent>("admin/audit", action ? { action } : {});
  return (
    <>
      <p class="hint">{t.admin.auditHint}</p>
      <div class="search is-field">
        <Icon name="search" size={18} />
        <input
          type="search"
          aria-label={t.admin.auditAction}
          placeholder={t.admin.auditAction}
          onInput={(event) => setAction(event.currentTarget.value.toLowerCase().replace(/[^a-z_]/g, ""))}
        />
      </div>
      {items === null && <Spinner label={t.common.loading} />}
      {items?.length === 0 && <p class="hint">{t.admin.auditEmpty}</p>}
      {items !== null && items.length > 0 && (
        <Table head={t.admin.auditHead}>
          {items.map((row) => (
            <tr key={row.id}>
              <td>{date(row.at)}</td>
              <td>
                {row.action} {row.outcome === "refused" && <span class="tag is-off">{t.admin.auditRefused}</span>}
              </td>
              <td title={row.actor_id ?? undefined}>{`${row.actor} ${row.actor_id?.slice(-8) ?? ""}`}</td>
              <td title={row.account_id ?? undefined}>{row.account_id?.slice(-8)}</td>
              <td>{row.network}</td>
            </tr>
          ))}
        </Table>
      )}
      {more}
    </>
  );
}

interface Health {
  status: string;
  checks: Record<string, { status?: string; ok?: boolean }>;
}

function System() {
  const [health, setHealth] = useState<Health | null>(null);
  useEffect(() => {
    fetch(new URL("health/ready", api.base))
      .then((response) => response.json())
      .then(setHealth, report);
  }, []);
  return (
    <>
      <h3>{t.admin.health}</h3>
      <ul class="rows panel">
        {Object.entries(health?.checks ?? {}).map(([name, check]) => (
          <li key={name}>
            <span>{name}</span>
            <span class={check.status === "ok" || check.ok ? "tag" : "tag is-off"}>
              {check.status === "ok" || check.ok ? t.admin.healthy : t.admin.unhealthy}
            </span>
          </li>
        ))}
      </ul>
      <h3>{t.admin.models}</h3>
      <Table head={[t.admin.models, t.admin.modelProvider, t.admin.modelContext, t.admin.modelPrices]}>
        {models.value.map((model) => (
          <tr key={model.id}>
            <td>
              {model.id} {model.default && <span class="tag">{t.chat.modelDefault}</span>}
            </td>
            <td>{model.provider}</td>
            <td class="number">{model.context_tokens.toLocaleString(t.locale)}</td>
            <td class="number">
              {dollars(model.input_usd_per_mtok)} / {dollars(model.output_usd_per_mtok)}
            </td>
          </tr>
        ))}
      </Table>
    </>
  );
}

function Table({
  head,
  numbersFrom = 99,
  children,
}: {
  head: string[];
  numbersFrom?: number;
  children: ComponentChildren;
}) {
  return (
    <div class="table" tabIndex={0}>
      <table>
        <thead>
          <tr>
            {head.map((text, index) => (
              <th key={text || "menu"} scope="col" class={index >= numbersFrom ? "number" : undefined}>
                {text || <span class="visually-hidden">{t.common.menu}</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
