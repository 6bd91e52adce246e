/** A dialog in which an admin ends the sessions of one user or of everybody. */

import { useState } from "preact/hooks";
import type { Account, EndedSessions } from "../api/types.ts";
import { Form, Switch } from "../components/controls.tsx";
import { Dialog, openDialog } from "../components/overlays.tsx";
import { notify } from "../state/notices.ts";
import { api } from "../state/session.ts";
import { t } from "../text/index.ts";
import { Password } from "./SecondFactorSection.tsx";

/** Ask whether to end the sessions of `account`, or of all users. */
export function askToEndSessions(account?: Account): void {
  openDialog((close) => <EndSessionsDialog account={account} close={close} />);
}

function EndSessionsDialog({ account, close }: { account: Account | undefined; close: () => void }) {
  const [revokesKeys, setRevokesKeys] = useState(false);
  const text = t.admin.endSessions;
  const end = async ({ password }: Record<string, string>) => {
    const path = account ? `admin/users/${account.id}/sessions` : "admin/sessions";
    const body = { revoke_api_keys: revokesKeys, ...(account ? {} : { password: password || null }) };
    const ended = await api.call<EndedSessions>("DELETE", path, { body });
    close();
    notify(text.ended(ended.sessions, ended.api_keys));
  };
  return (
    <Dialog title={account ? text.title(account.email) : text.titleAll} onClose={close}>
      <p>{text.lead}</p>
      <Form submit={text.submit} kind="danger" onSubmit={end}>
        <Switch label={text.keys} hint={text.keysHint} checked={revokesKeys} onChange={setRevokesKeys} />
        {!account && <Password />}
      </Form>
    </Dialog>
  );
}
