/** The user's groups and invitations, and the members of a group. */

import { useEffect, useState } from "preact/hooks";
import type { Group, GroupMember, Page } from "../api/types.ts";
import { Button, Empty, Field, Form, Spinner } from "../components/controls.tsx";
import { Icon } from "../components/Icon.tsx";
import { confirmDeletion, Dialog, Menu, type MenuItem, openDialog } from "../components/overlays.tsx";
import { report } from "../state/notices.ts";
import { api, persist, user } from "../state/session.ts";
import { date } from "../text/format.ts";
import { t } from "../text/index.ts";
import { detailsOf, GroupBudget } from "./GroupBudget.tsx";
import { Topbar } from "./Topbar.tsx";

type Reload = () => Promise<void>;

export function GroupsView() {
  const [groups, setGroups] = useState<Group[] | null>(null);
  const [round, setRound] = useState(0);
  const load = async () => {
    // A user is in at most 100 groups.
    const page = await persist(() => api.get<Page<Group>>("auth/groups", { limit: 100 }));
    setGroups(page.items);
  };
  useEffect(() => {
    load().catch(report);
  }, []);
  return (
    <div class="screen">
      <Topbar title={t.groups.title} />
      <div class="screen-body">
        <p class="lead">{t.groups.lead}</p>
        <div class="panel">
          <Form
            key={round}
            submit={t.groups.add}
            onSubmit={async ({ name }) => {
              await api.post("auth/groups", { name });
              setRound(round + 1);
              await load();
            }}
          >
            <Field label={t.groups.name} name="name" required maxLength={100} dir="auto" autocomplete="off" />
          </Form>
        </div>
        {groups === null && <Spinner label={t.common.loading} />}
        {groups?.length === 0 && <Empty icon="user" title={t.groups.empty} lead={t.groups.emptyLead} />}
        <ul class="cards">
          {groups?.map((group) => (
            <GroupCard key={group.id} group={group} reload={load} />
          ))}
        </ul>
      </div>
    </div>
  );
}

function GroupCard({ group, reload }: { group: Group; reload: Reload }) {
  const path = `auth/groups/${group.id}`;
  const leave = () => api.delete(`${path}/members`, { email: user.value?.email }).then(reload, report);
  const details = group.role === "invited" ? "" : detailsOf(group);
  return (
    <li class="card">
      <span class="card-icon">
        <Icon name="user" size={22} />
      </span>
      <div class="card-text">
        <p class="card-title" dir="auto">
          {group.name}
        </p>
        <p class="hint">{[t.groups.roles[group.role], details].filter(Boolean).join(" · ")}</p>
      </div>
      {group.role === "invited" ? (
        <>
          <Button kind="primary" onClick={() => api.post(`${path}/join`, {}).then(reload, report)}>
            {t.groups.join}
          </Button>
          <Button kind="quiet" onClick={leave}>
            {t.groups.decline}
          </Button>
        </>
      ) : (
        <Menu label={t.groups.options(group.name)} items={menuItems(group, reload, leave)} />
      )}
    </li>
  );
}

function menuItems(group: Group, reload: Reload, leave: () => Promise<void>): MenuItem[] {
  const remove = () => api.delete(`auth/groups/${group.id}`).then(reload, report);
  const items: MenuItem[] = [
    {
      icon: "user",
      label: t.groups.showMembers,
      onSelect: () => openDialog((close) => <Members group={group} reload={reload} close={close} />),
    },
    {
      icon: "out",
      label: t.groups.leave,
      danger: true,
      onSelect: () => confirmDeletion(t.groups.leaveTitle, t.groups.leaveLead(group.name), leave, t.groups.leave),
    },
  ];
  if (group.role === "owner" && group.monthly_budget_usd !== null) {
    const path = `auth/groups/${group.id}`;
    items.splice(1, 0, {
      icon: "chart",
      label: t.groups.budget,
      onSelect: () => openDialog((close) => <GroupBudget group={group} path={path} onSaved={reload} close={close} />),
    });
  }
  if (group.role === "owner") {
    items.splice(1, 0, {
      icon: "edit",
      label: t.documents.rename,
      onSelect: () => openDialog((close) => <Rename group={group} reload={reload} close={close} />),
    });
    items.push({
      icon: "trash",
      label: t.common.delete,
      danger: true,
      onSelect: () => confirmDeletion(t.groups.deleteTitle, t.groups.deleteLead(group.name), remove),
    });
  }
  return items;
}

interface GroupDialogProps {
  group: Group;
  reload: Reload;
  close: () => void;
}

function Rename({ group, reload, close }: GroupDialogProps) {
  return (
    <Dialog title={t.documents.rename} onClose={close}>
      <Form
        submit={t.common.save}
        onSubmit={async ({ name }) => {
          await api.patch(`auth/groups/${group.id}`, { name });
          close();
          await reload();
        }}
      >
        <Field
          label={t.groups.name}
          name="name"
          defaultValue={group.name}
          required
          maxLength={100}
          autofocus
          dir="auto"
        />
      </Form>
    </Dialog>
  );
}

function Members({ group, reload, close }: GroupDialogProps) {
  const [members, setMembers] = useState<GroupMember[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const path = `auth/groups/${group.id}/members`;
  const load = async (after: string | null = null) => {
    const page = await api.get<Page<GroupMember>>(path, { limit: 100, cursor: after });
    setMembers((before) => (after === null ? page.items : [...(before ?? []), ...page.items]));
    setCursor(page.next_cursor);
  };
  const changed = async () => {
    await load();
    await reload();
  };
  useEffect(() => {
    load().catch(report);
  }, []);
  const isOwner = group.role === "owner";
  return (
    <Dialog title={group.name} onClose={close} wide>
      {isOwner && <Invite path={path} onInvited={() => load()} />}
      {members === null && <Spinner label={t.common.loading} />}
      <ul class="cards">
        {members?.map((member) => (
          <li key={member.email} class="card">
            <div class="card-text">
              <p class="card-title" dir="auto">
                {member.display_name ?? member.email}
              </p>
              <p class="hint">
                {[member.display_name ? member.email : "", t.groups.roles[member.role], date(member.created_at)]
                  .filter(Boolean)
                  .join(" · ")}
              </p>
            </div>
            {isOwner && member.email !== user.value?.email && (
              <Menu label={t.groups.options(member.email)} items={memberItems(path, member, changed)} />
            )}
          </li>
        ))}
      </ul>
      {cursor !== null && (
        <Button kind="quiet" onClick={() => load(cursor).catch(report)}>
          {t.common.more}
        </Button>
      )}
    </Dialog>
  );
}

function Invite({ path, onInvited }: { path: string; onInvited: Reload }) {
  const [round, setRound] = useState(0);
  const [outcome, setOutcome] = useState("");
  const invite = async ({ email }: Record<string, string>) => {
    const { mailed } = await api.put<{ mailed: boolean }>(path, { email });
    setOutcome(mailed ? t.groups.invitedByMail : t.groups.invitedWithoutMail);
    setRound(round + 1);
    await onInvited();
  };
  return (
    <>
      <Form key={round} submit={t.groups.invite} onSubmit={invite}>
        <Field
          label={t.signIn.email}
          name="email"
          type="email"
          required
          hint={t.groups.inviteHint}
          autocomplete="off"
        />
      </Form>
      <p class="hint" role="status">
        {outcome}
      </p>
    </>
  );
}

function memberItems(path: string, member: GroupMember, changed: Reload): MenuItem[] {
  const { email } = member;
  const role = member.role === "owner" ? "member" : "owner";
  const items: MenuItem[] = [
    {
      icon: "trash",
      label: member.role === "invited" ? t.groups.withdraw : t.groups.remove,
      danger: true,
      onSelect: () => api.delete(path, { email }).then(changed, report),
    },
  ];
  if (member.role !== "invited") {
    items.unshift({
      icon: "shield",
      label: role === "owner" ? t.groups.makeOwner : t.groups.makeMember,
      onSelect: () => api.call("PUT", path, { body: { email, role } }).then(changed, report),
    });
  }
  return items;
}
