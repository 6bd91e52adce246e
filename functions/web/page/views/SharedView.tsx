/** A shared conversation, for people with and without an account. */

import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api/errors.ts";
import type { Conversation, SharedMessage, Snapshot } from "../api/types.ts";
import { Button, Spinner } from "../components/controls.tsx";
import { Mark } from "../components/Icon.tsx";
import { Markdown } from "../components/Markdown.tsx";
import { touch } from "../state/conversations.ts";
import { report } from "../state/notices.ts";
import { href, navigate } from "../state/router.ts";
import { api, user } from "../state/session.ts";
import { date } from "../text/format.ts";
import { t } from "../text/index.ts";

export function SharedView({ token }: { token: string }) {
  const [snapshot, setSnapshot] = useState<Snapshot | null>(null);
  const [isMissing, setMissing] = useState(false);
  const isSignedIn = user.value !== null;
  useEffect(() => {
    setMissing(false);
    const found = isSignedIn
      ? api.post<Snapshot>("links/view", { token })
      : api.sendPublic<Snapshot>("links/view-public", { token });
    found.then(setSnapshot, (error) => {
      if (error instanceof ApiError && [404, 422].includes(error.status)) setMissing(true);
      else report(error);
    });
  }, [token, isSignedIn]);
  return (
    <div class="shared">
      <header class="shared-head">
        <a class="brand" href={href.chat(null)}>
          <Mark size={26} />
          <span>{t.brand}</span>
        </a>
        {snapshot && <CopyButton token={token} />}
      </header>
      <main class="messages-inner" id="main">
        {isMissing && <Missing isSignedIn={isSignedIn} />}
        {!isMissing && snapshot === null && <Spinner label={t.common.loading} />}
        {snapshot && (
          <>
            <h1 dir="auto">{snapshot.title ?? t.sidebar.untitled}</h1>
            <p class="hint">{t.share.sharedOn(date(snapshot.created_at))}</p>
            {snapshot.messages.map((message, index) => (
              <SharedMessageView key={index} message={message} />
            ))}
          </>
        )}
      </main>
    </div>
  );
}

function SharedMessageView({ message }: { message: SharedMessage }) {
  if (message.role === "user")
    return (
      <article class="message is-user" aria-label={t.share.question}>
        <div class="bubble" dir="auto">
          {message.text}
        </div>
      </article>
    );
  return (
    <article class="message is-answer" aria-label={t.share.answer}>
      <Markdown text={message.text} />
      {message.sources.length > 0 && (
        <ol class="shared-sources">
          {message.sources.map((source) => (
            <li key={source.number} value={source.number} dir="auto">
              {source.url && /^https?:\/\//.test(source.url) ? (
                <a href={source.url} target="_blank" rel="noopener noreferrer nofollow">
                  {source.title}
                </a>
              ) : (
                source.title
              )}
              {source.page !== null && <small> {t.chat.page(source.page)}</small>}
            </li>
          ))}
        </ol>
      )}
    </article>
  );
}

function CopyButton({ token }: { token: string }) {
  if (user.value === null)
    return (
      <a class="button is-primary" href={href.signIn()}>
        <span>{t.share.signInToCopy}</span>
      </a>
    );
  const copy = async () => {
    const conversation = await api.post<Conversation>("links/copy", { token });
    touch(conversation);
    navigate(href.chat(conversation.id));
  };
  return (
    <Button kind="primary" icon="fork" onClick={() => copy().catch(report)}>
      {t.share.copy}
    </Button>
  );
}

function Missing({ isSignedIn }: { isSignedIn: boolean }) {
  return (
    <div class="shared-missing" role="alert">
      <h1>{t.share.missing}</h1>
      <p class="hint">{isSignedIn ? t.share.missingLead : t.share.missingSignedOut}</p>
      {!isSignedIn && (
        <a class="button is-primary" href={href.signIn()}>
          <span>{t.share.signIn}</span>
        </a>
      )}
    </div>
  );
}
