/** A session that lacks the second factor that the server demands: it adds one, and goes on. */

import { useCallback, useState } from "preact/hooks";
import type { LoginOptions, Page, Passkey } from "../api/types.ts";
import { Button, Field, Form } from "../components/controls.tsx";
import { Mark } from "../components/Icon.tsx";
import { useLoaded } from "../components/loading.tsx";
import { addPasskey, canUsePasskeys, signInByPasskey } from "../state/passkeys.ts";
import { api, enter, signOut } from "../state/session.ts";
import { t } from "../text/index.ts";
import { Password, SecondFactorSection } from "./SecondFactorSection.tsx";

interface Ways {
  hasPasskey: boolean;
  options: LoginOptions;
}

export function EnrolmentView() {
  const { result: ways, load, pending } = useLoaded(readWays);
  const lead = ways?.hasPasskey ? t.secondFactor.demandedPasskey : t.secondFactor.demandedLead;
  return (
    <div class="entry is-single">
      <main class="entry-main" id="main">
        <div class="entry-card">
          <header class="entry-head">
            <Mark size={32} />
            <h1>{t.secondFactor.demanded}</h1>
            {ways && <p class="hint">{lead}</p>}
          </header>
          <h2 class="visually-hidden">{t.settings.sections.security}</h2>
          {ways === null ? pending : ways.hasPasskey ? <SignIn {...ways} /> : <Enrolment {...ways} onPasskey={load} />}
          <Button kind="quiet" onClick={() => signOut()}>
            {t.sidebar.signOut}
          </Button>
        </div>
      </main>
    </div>
  );
}

async function readWays(): Promise<Ways> {
  const [{ items }, options] = await Promise.all([
    api.get<Page<Passkey>>("auth/passkeys"),
    api.getPublic<LoginOptions>("auth/oidc"),
  ]);
  return { hasPasskey: items.length > 0, options };
}

function SignIn({ options }: Ways) {
  if (!canUsePasskeys(options)) return <p class="hint">{t.passkeys.elsewhere(options.passkey_rp_id)}</p>;
  return (
    <Form submit={t.passkeys.signIn} onSubmit={() => signInByPasskey()}>
      {null}
    </Form>
  );
}

function Enrolment({ options, onPasskey }: Ways & { onPasskey: () => Promise<void> }) {
  const [isOn, setOn] = useState(false);
  const finish = useCallback(() => setOn(true), []);
  const add = async ({ name = "", password }: Record<string, string>) => {
    await addPasskey(name, password || null);
    await onPasskey();
  };
  return (
    <>
      <SecondFactorSection onDemanded={finish} />
      {isOn ? (
        // With the new token, the session has its second factor.
        <Form submit={t.secondFactor.goOn} onSubmit={async () => enter((await api.renew()).user)}>
          {null}
        </Form>
      ) : (
        canUsePasskeys(options) && (
          <div class="panel">
            <h3>{t.passkeys.title}</h3>
            <p class="hint">{t.passkeys.lead}</p>
            <Form submit={t.passkeys.add} onSubmit={add}>
              <Field label={t.passkeys.name} name="name" required maxLength={100} hint={t.passkeys.nameHint} />
              <Password />
            </Form>
          </div>
        )
      )}
    </>
  );
}
