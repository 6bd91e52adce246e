/** Adds, renames and removes passkeys. */

import { useCallback, useEffect, useState } from "preact/hooks";
import type { LoginOptions, Page, Passkey } from "../api/types.ts";
import { Button, Field, Form } from "../components/controls.tsx";
import { report } from "../state/notices.ts";
import { addPasskey, canUsePasskeys } from "../state/passkeys.ts";
import { api } from "../state/session.ts";
import { date } from "../text/format.ts";
import { t } from "../text/index.ts";
import { Password } from "./SecondFactorSection.tsx";

export function PasskeysSection() {
  const [options, setOptions] = useState<LoginOptions | null>(null);
  const [passkeys, setPasskeys] = useState<Passkey[]>([]);
  const [opened, setOpened] = useState<{ id: string; action: "rename" | "remove" } | null>(null);
  const [round, setRound] = useState(0);
  const reload = useCallback(
    () => api.get<Page<Passkey>>("auth/passkeys").then(({ items }) => setPasskeys(items), report),
    [],
  );
  useEffect(() => {
    api.getPublic<LoginOptions>("auth/oidc").then(setOptions, report);
    reload();
  }, [reload]);
  if (!options?.passkey_rp_id && passkeys.length === 0) return null;
  const done = async () => {
    setOpened(null);
    await reload();
  };
  return (
    <div class="panel">
      <h3>{t.passkeys.title}</h3>
      <p class="hint">{t.passkeys.lead}</p>
      <ul class="rows">
        {passkeys.map((passkey) => (
          <li key={passkey.id}>
            {opened?.id === passkey.id ? (
              <Change passkey={passkey} action={opened.action} onDone={done} />
            ) : (
              <>
                <div>
                  <strong dir="auto">{passkey.name}</strong>
                  <p class="hint">
                    {t.passkeys.used(passkey.last_used_at ? date(passkey.last_used_at) : t.common.never)}
                    {passkey.is_backed_up ? ` · ${t.passkeys.copied}` : ""}
                  </p>
                </div>
                <Button kind="quiet" onClick={() => setOpened({ id: passkey.id, action: "rename" })}>
                  {t.passkeys.rename}
                </Button>
                <Button kind="quiet" onClick={() => setOpened({ id: passkey.id, action: "remove" })}>
                  {t.passkeys.remove}
                </Button>
              </>
            )}
          </li>
        ))}
      </ul>
      {options && canUsePasskeys(options) && (
        <Form
          key={round}
          submit={t.passkeys.add}
          onSubmit={async ({ name = "", password }) => {
            await addPasskey(name, password || null);
            setRound(round + 1);
            await reload();
          }}
        >
          <Field label={t.passkeys.name} name="name" required maxLength={100} hint={t.passkeys.nameHint} />
          <Password />
        </Form>
      )}
      {options && !canUsePasskeys(options) && <p class="hint">{t.passkeys.elsewhere(options.passkey_rp_id)}</p>}
    </div>
  );
}

interface ChangeProps {
  passkey: Passkey;
  action: "rename" | "remove";
  onDone: () => Promise<void>;
}

function Change({ passkey, action, onDone }: ChangeProps) {
  const path = `auth/passkeys/${passkey.id}`;
  const cancel = (
    <Button kind="quiet" onClick={onDone}>
      {t.common.cancel}
    </Button>
  );
  if (action === "rename") {
    const rename = async ({ name }: Record<string, string>) => {
      await api.patch(path, { name });
      await onDone();
    };
    return (
      <Form submit={t.common.save} onSubmit={rename} beside={cancel}>
        <Field label={t.passkeys.name} name="name" defaultValue={passkey.name} required maxLength={100} autofocus />
      </Form>
    );
  }
  const remove = async ({ password }: Record<string, string>) => {
    await api.delete(path, { password: password || null });
    await onDone();
  };
  return (
    <Form submit={t.passkeys.remove} kind="danger" onSubmit={remove} beside={cancel}>
      <p dir="auto">{t.passkeys.removal(passkey.name)}</p>
      <Password />
    </Form>
  );
}
