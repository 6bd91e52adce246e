/** The monthly budget of a group: what is left, and what an admin or an owner may change. */

import type { FundedGroup } from "../api/types.ts";
import { Button, Field, Form, Spinner } from "../components/controls.tsx";
import { Dialog, openDialog } from "../components/overlays.tsx";
import { usePages } from "../components/paging.tsx";
import { api } from "../state/session.ts";
import { dollars } from "../text/format.ts";
import { t } from "../text/index.ts";

interface GroupBudgetProps {
  group: FundedGroup;
  /** The path of the group for its owners, or for admins, who set the budget itself. */
  path: string;
  isAdmin?: boolean;
  onSaved: () => Promise<void>;
  close: () => void;
}

export function GroupBudget({ group, path, isAdmin = false, onSaved, close }: GroupBudgetProps) {
  const pool = group.monthly_budget_usd;
  const save = async (values: Record<string, string>) => {
    const amount = (text = "") => (text === "" ? null : Number(text));
    const changes = { member_budget_usd: amount(values.share) };
    await api.patch(path, isAdmin ? { ...changes, monthly_budget_usd: amount(values.pool) } : changes);
    close();
    await onSaved();
  };
  return (
    <Dialog title={t.groups.budgetTitle(group.name)} onClose={close}>
      {pool !== null && (
        <>
          <p class="figure">{t.groups.left(dollars(Math.max(0, pool - group.spent_usd)))}</p>
          <meter
            aria-label={t.groups.budget}
            min={0}
            max={1}
            low={0.75}
            high={0.9}
            optimum={0}
            value={pool > 0 ? Math.min(1, group.spent_usd / pool) : 1}
          />
          <p class="hint">{t.groups.spent(dollars(group.spent_usd), dollars(pool))}</p>
        </>
      )}
      <Form submit={t.common.save} onSubmit={save}>
        {isAdmin && <Amount label={t.groups.pool} name="pool" value={pool} hint={t.groups.poolHint} />}
        <Amount label={t.groups.shareLabel} name="share" value={group.member_budget_usd} hint={t.groups.shareHint} />
      </Form>
    </Dialog>
  );
}

interface AmountProps {
  label: string;
  name: string;
  value: number | null;
  hint: string;
}

function Amount({ label, name, value, hint }: AmountProps) {
  return (
    <Field
      label={label}
      name={name}
      type="number"
      min={0}
      max={100000}
      step="0.01"
      defaultValue={value ?? ""}
      hint={hint}
    />
  );
}

/** All groups of the server, for admins. */
export function FundedGroups() {
  const { items, reload, more } = usePages<FundedGroup>("admin/groups");
  const edit = (group: FundedGroup) =>
    openDialog((close) => (
      <GroupBudget group={group} path={`admin/groups/${group.id}`} isAdmin onSaved={reload} close={close} />
    ));
  return (
    <>
      {items === null && <Spinner label={t.common.loading} />}
      {items?.length === 0 && <p class="hint">{t.admin.groupsEmpty}</p>}
      <ul class="cards">
        {items?.map((group) => (
          <li key={group.id} class="card">
            <div class="card-text">
              <p class="card-title" dir="auto">
                {group.name}
              </p>
              <p class="hint">{detailsOf(group)}</p>
            </div>
            <Button onClick={() => edit(group)}>{t.admin.setBudget}</Button>
          </li>
        ))}
      </ul>
      {more}
    </>
  );
}

/** The members, the budget and what is spent of it, in one line. */
export function detailsOf({
  members,
  monthly_budget_usd: pool,
  member_budget_usd: share,
  spent_usd: spent,
}: FundedGroup): string {
  return [
    t.groups.members(members ?? 0),
    pool === null ? "" : t.groups.spent(dollars(spent), dollars(pool)),
    pool === null || share === null ? "" : t.groups.each(dollars(share)),
  ]
    .filter(Boolean)
    .join(" · ");
}
