/** Share a conversation by a link: to whom, for how long, and the link itself, which is shown once. */

import { useEffect, useState } from "preact/hooks";
import type { CreatedLink, Group, Page } from "../api/types.ts";
import { report } from "../state/notices.ts";
import { href } from "../state/router.ts";
import { api } from "../state/session.ts";
import { date } from "../text/format.ts";
import { t } from "../text/index.ts";
import { Form, Secret } from "./controls.tsx";
import { Dialog } from "./overlays.tsx";

const DAYS = [1, 7, 30, 365];

export function ShareDialog({ conversationId, onClose }: { conversationId: string; onClose: () => void }) {
  const [link, setLink] = useState<CreatedLink | null>(null);
  const [groups, setGroups] = useState<Group[]>([]);
  useEffect(() => {
    api.get<Page<Group>>("auth/groups", { limit: 100 }).then((page) => setGroups(page.items.filter(isMember)), report);
  }, []);
  const share = async ({ audience, days }: Record<string, string>) => {
    const isKind = audience === "signed_in" || audience === "public";
    const body = { ...(isKind ? { audience } : { group_id: audience }), expires_in_days: Number(days) };
    setLink(await api.post<CreatedLink>(`conversations/${conversationId}/links`, body));
  };
  return (
    <Dialog title={t.share.title} onClose={onClose}>
      {link ? (
        <>
          <Secret text={addressOf(link.token)} hint={t.share.once} />
          <p class="hint">{t.share.until(date(link.expires_at))}</p>
        </>
      ) : (
        <>
          <p class="hint">{t.share.lead}</p>
          <Form submit={t.share.create} onSubmit={share}>
            <div class="field">
              <label for="share-audience">{t.share.audience}</label>
              <select id="share-audience" name="audience">
                <option value="signed_in">{t.share.audiences.signed_in}</option>
                <option value="public">{t.share.audiences.public}</option>
                {groups.map((group) => (
                  <option key={group.id} value={group.id}>
                    {t.share.toGroup(group.name)}
                  </option>
                ))}
              </select>
            </div>
            <div class="field">
              <label for="share-days">{t.share.expires}</label>
              <select id="share-days" name="days">
                {DAYS.map((days) => (
                  <option key={days} value={days} selected={days === 30}>
                    {t.share.days(days)}
                  </option>
                ))}
              </select>
            </div>
          </Form>
        </>
      )}
    </Dialog>
  );
}

function isMember(group: Group): boolean {
  return group.role !== "invited";
}

/** The address of a link. The token is behind `#`, so that browsers do not send it with the request for the page. */
function addressOf(token: string): string {
  return new URL(href.shared(token), api.base).href;
}
