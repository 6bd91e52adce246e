/** The groups with which an object of the user is shared. */

import { useEffect, useState } from "preact/hooks";
import type { Group, Page } from "../api/types.ts";
import { Spinner, Switch } from "../components/controls.tsx";
import { Dialog } from "../components/overlays.tsx";
import { report } from "../state/notices.ts";
import { href } from "../state/router.ts";
import { api } from "../state/session.ts";
import { t } from "../text/index.ts";

interface GroupSharesProps {
  /** The path of what is shared. */
  path: string;
  title: string;
  lead: string;
  close: () => void;
}

export function GroupShares({ path: base, title, lead, close }: GroupSharesProps) {
  const path = `${base}/shares`;
  const [groups, setGroups] = useState<Group[] | null>(null);
  const [shared, setShared] = useState<ReadonlySet<string>>(new Set());
  const load = async () => {
    const [mine, shares] = await Promise.all([
      api.get<Page<Group>>("auth/groups", { limit: 100 }),
      api.get<Page<{ group_id: string }>>(path),
    ]);
    setShared(new Set(shares.items.map((share) => share.group_id)));
    setGroups(mine.items.filter((group) => group.role !== "invited"));
  };
  useEffect(() => {
    load().catch(report);
  }, []);
  const change = async (group: Group, isOn: boolean) => {
    await api.call(isOn ? "PUT" : "DELETE", path, { body: { group_id: group.id } });
    setShared(new Set(isOn ? [...shared, group.id] : [...shared].filter((id) => id !== group.id)));
  };
  return (
    <Dialog title={t.groups.shareTitle(title)} onClose={close}>
      <p class="hint">{lead}</p>
      {groups === null && <Spinner label={t.common.loading} />}
      {groups?.length === 0 && (
        <p>
          <a href={href.groups()} onClick={close}>
            {t.groups.empty}
          </a>
        </p>
      )}
      {groups?.map((group) => (
        <Switch
          key={group.id}
          label={group.name}
          hint={t.groups.members(group.members ?? 0)}
          checked={shared.has(group.id)}
          onChange={(isOn) => change(group, isOn).catch(report)}
        />
      ))}
    </Dialog>
  );
}
