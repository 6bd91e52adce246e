/** A session that lacks the second factor that the server demands: it adds one, and goes on. */

import { useCallback, useEffect, useState } from "preact/hooks";
import type { LoginOptions, Page, Passkey } from "../api/types.ts";
import { Button, Field, Form } from "../components/controls.tsx";
import { Mark } from "../components/Icon.tsx";
import { report } from "../state/notices.ts";
import { addPasskey, canUsePasskeys, signInByPasskey } from "../state/passkeys.ts";
import { api, enter, signOut } from "../state/session.ts";
import { t } from "../text/index.ts";
import { Password, SecondFactorSection } from "./SecondFactorSection.tsx";

export function EnrolmentView() {
  const [passkeys, setPasskeys] = useState<Passkey[] | null>(null);
  const [isAdded, setAdded] = useState(false);
  const reload = useCallback(
    () => api.get<Page<Passkey>>("auth/passkeys").then(({ items }) => setPasskeys(items), report),
    [],
  );
  useEffect(() => {
    reload();
  }, [reload]);
  if (passkeys === null) return null;
  const hasPasskey = passkeys.length > 0;
  return (
    <div class="entry is-single">
      <main class="entry-main" id="main">
        <div class="entry-card">
          <header class="entry-head">
            <Mark size={32} />
            <h1>{t.secondFactor.demanded}</h1>
            <p class="hint">{hasPasskey ? t.secondFactor.demandedPasskey : t.secondFactor.demandedLead}</p>
          </header>
          <h2 class="visually-hidden">{t.settings.sections.security}</h2>
          {!hasPasskey && <SecondFactorSection isDemanded onChange={async () => setAdded(true)} />}
          {!isAdded && <ByPasskey hasPasskey={hasPasskey} onAdd={reload} />}
          {isAdded && (
            // With the new token, the session has its second factor.
            <Form submit={t.secondFactor.goOn} onSubmit={async () => enter((await api.renew()).user)}>
              {null}
            </Form>
          )}
          <Button kind="quiet" onClick={() => signOut()}>
            {t.sidebar.signOut}
          </Button>
        </div>
      </main>
    </div>
  );
}

function ByPasskey({ hasPasskey, onAdd }: { hasPasskey: boolean; onAdd: () => Promise<void> }) {
  const [options, setOptions] = useState<LoginOptions | null>(null);
  useEffect(() => {
    api.getPublic<LoginOptions>("auth/oidc").then(setOptions, report);
  }, []);
  if (options === null || !canUsePasskeys(options)) return null;
  if (hasPasskey) {
    return (
      <Form submit={t.passkeys.signIn} onSubmit={() => signInByPasskey()}>
        {null}
      </Form>
    );
  }
  const add = async ({ name = "", password }: Record<string, string>) => {
    await addPasskey(name, password || null);
    await onAdd();
  };
  return (
    <div class="panel">
      <h3>{t.passkeys.title}</h3>
      <p class="hint">{t.passkeys.lead}</p>
      <Form submit={t.passkeys.add} onSubmit={add}>
        <Field label={t.passkeys.name} name="name" required maxLength={100} hint={t.passkeys.nameHint} />
        <Password />
      </Form>
    </div>
  );
}
