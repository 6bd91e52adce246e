/** The token by which an identity provider provisions accounts and groups. */

import { useCallback, useEffect, useState } from "preact/hooks";
import type { ScimTokens } from "../api/types.ts";
import { Button, Secret, Spinner } from "../components/controls.tsx";
import { confirmDeletion } from "../components/overlays.tsx";
import { notify, report } from "../state/notices.ts";
import { api } from "../state/session.ts";
import { dateTime } from "../text/format.ts";
import { t } from "../text/index.ts";

const PATH = "admin/scim-token";

export function ScimSection() {
  const [found, setFound] = useState<ScimTokens | null>(null);
  const [secret, setSecret] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const reload = useCallback(() => api.get<ScimTokens>(PATH).then(setFound, report), []);
  useEffect(() => {
    reload();
  }, [reload]);
  if (found === null) return <Spinner label={t.common.loading} />;
  const make = async () => {
    setBusy(true);
    try {
      const made = await api.post<{ token: string }>(PATH);
      setSecret(made.token);
      await reload();
    } finally {
      setBusy(false);
    }
  };
  const revoke = async () => {
    await api.delete(PATH);
    setSecret(null);
    await reload();
  };
  const { replace, replaceTitle, replaceLead, revokeTitle, revokeLead } = t.scim;
  return (
    <>
      <p class="lead">{t.scim.lead}</p>
      <div class="panel">
        <h3>{t.scim.address}</h3>
        <code>{found.base_url}</code>
        <Button icon="copy" onClick={() => copy(found.base_url)}>
          {t.common.copy}
        </Button>
      </div>
      {secret && <Secret text={secret} hint={t.scim.secret} />}
      {found.tokens.length === 0 && <p class="hint">{t.scim.empty}</p>}
      <ul class="cards">
        {found.tokens.map((token) => (
          <li key={token.id} class="card">
            <div class="card-text">
              <p class="card-title">{token.expires_at ? t.scim.replaced : t.scim.current}</p>
              <p class="hint">{detailsOf(token)}</p>
            </div>
          </li>
        ))}
      </ul>
      <div class="form-actions">
        {found.tokens.length === 0 ? (
          <Button kind="primary" disabled={isBusy} onClick={() => make().catch(report)}>
            {t.scim.make}
          </Button>
        ) : (
          <>
            <Button onClick={() => confirmDeletion(replaceTitle, replaceLead, () => make().catch(report), replace)}>
              {replace}
            </Button>
            <Button
              kind="danger"
              onClick={() => confirmDeletion(revokeTitle, revokeLead, () => revoke().catch(report), t.scim.revoke)}
            >
              {t.scim.revoke}
            </Button>
          </>
        )}
      </div>
    </>
  );
}

function copy(text: string): void {
  navigator.clipboard.writeText(text).then(() => notify(t.common.copied), report);
}

/** When a token was made and last used, and until when it is valid, in one line. */
function detailsOf(token: ScimTokens["tokens"][number]): string {
  return [
    t.scim.made(dateTime(token.created_at)),
    t.scim.used(token.last_used_at ? dateTime(token.last_used_at) : t.common.never),
    token.expires_at ? t.scim.expires(dateTime(token.expires_at)) : "",
  ]
    .filter(Boolean)
    .join(" · ");
}
