/** An application asks to use the MCP server for the user, who allows or denies it. */

import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api/errors.ts";
import type { Authorization } from "../api/types.ts";
import { Button, Form, Spinner } from "../components/controls.tsx";
import { Mark } from "../components/Icon.tsx";
import { report } from "../state/notices.ts";
import { api, user } from "../state/session.ts";
import { explain } from "../text/format.ts";
import { t } from "../text/index.ts";

/** A person needs longer than this to read the request. A click that was meant for another window comes sooner. */
const READING_MS = 800;

/** Return whether the window has had the focus for long enough that a click in it is meant for it.
 *
 * Otherwise another site could open a window above this one, ask for a double click, and close it after the first.
 */
function useAttention(): boolean {
  const [isAttentive, setAttentive] = useState(false);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const reset = () => {
      clearTimeout(timer);
      setAttentive(false);
    };
    const start = () => {
      reset();
      timer = setTimeout(() => setAttentive(true), READING_MS);
    };
    if (document.hasFocus()) start();
    addEventListener("focus", start);
    addEventListener("blur", reset);
    return () => {
      clearTimeout(timer);
      removeEventListener("focus", start);
      removeEventListener("blur", reset);
    };
  }, []);
  return isAttentive;
}

export function ConnectView({ query }: { query: string }) {
  const [request, setRequest] = useState<Authorization | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [isDone, setDone] = useState(false);
  useEffect(() => {
    api.post<Authorization>("auth/authorizations/preview", { query }).then(setRequest, (problem) => {
      if (problem instanceof ApiError) setError(problem);
      else report(problem);
    });
  }, [query]);
  const answer = async (approve: boolean) => {
    const { redirect_to } = await api.post<{ redirect_to: string }>("auth/authorizations", { query, approve });
    // An address of a desktop application leaves this page open.
    setDone(true);
    location.assign(redirect_to);
  };
  return (
    <div class="entry is-single">
      <main class="entry-main" id="main">
        <div class="entry-card">
          {error ? (
            <Refused error={error} />
          ) : isDone ? (
            <p role="status">{t.connect.done}</p>
          ) : request ? (
            <Request request={request} answer={answer} />
          ) : (
            <Spinner label={t.common.loading} />
          )}
        </div>
      </main>
    </div>
  );
}

function Request({ request, answer }: { request: Authorization; answer: (approve: boolean) => Promise<void> }) {
  const { client_host, redirect_host } = request;
  const isAttentive = useAttention();
  return (
    <>
      <header class="entry-head">
        <Mark size={32} />
        <h1 dir="auto">{t.connect.title(request.client_name)}</h1>
        <p class="hint">{t.connect.lead(user.value?.email ?? "")}</p>
      </header>
      <div>
        <p>{t.connect.allows}</p>
        <ul class="entry-list">
          {request.scopes.map((scope) => (
            <li key={scope}>{t.connect.scopes[scope] ?? scope}</li>
          ))}
        </ul>
      </div>
      <p class="hint">{client_host ? t.connect.published(client_host) : t.connect.unverified}</p>
      <p class="hint">{request.is_local ? t.connect.local(redirect_host) : t.connect.remote(redirect_host)}</p>
      <Form
        submit={t.connect.allow}
        onSubmit={() => answer(true)}
        disabled={!isAttentive}
        beside={<Button onClick={() => answer(false).catch(report)}>{t.connect.deny}</Button>}
      >
        {null}
      </Form>
    </>
  );
}

function Refused({ error }: { error: ApiError }) {
  const to = error.problem.redirect_to;
  return (
    <>
      <header class="entry-head">
        <Mark size={32} />
        <h1>{t.connect.refused}</h1>
        <p role="alert">{explain(error)}</p>
      </header>
      {to && <Button onClick={() => location.assign(to)}>{t.connect.goBack}</Button>}
    </>
  );
}
