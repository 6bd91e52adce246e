/** The screens before a session: sign-in, registration, verification and password reset. */

import { useEffect, useState } from "preact/hooks";
import type { LoginOptions } from "../api/types.ts";
import { Button, Field, Form } from "../components/controls.tsx";
import { Mark } from "../components/Icon.tsx";
import { issuerLogout, leaveToSignOut, returnedFrom } from "../state/issuerLogout.ts";
import { canUsePasskeys, signInByPasskey } from "../state/passkeys.ts";
import { href, leaveToSignIn, navigate, route } from "../state/router.ts";
import { api, hasEnded, signIn } from "../state/session.ts";
import { t } from "../text/index.ts";

export function SignInView() {
  const { view } = route.value;
  return (
    <div class="entry">
      <section class="entry-pitch" aria-hidden="true">
        <Mark size={56} />
        <p class="entry-brand">{t.brand}</p>
        <p class="entry-tagline">{t.tagline}</p>
      </section>
      <main class="entry-main" id="main">
        <div class="entry-card">{view === "register" ? <Register /> : view === "reset" ? <Reset /> : <SignIn />}</div>
      </main>
    </div>
  );
}

function Head({ title, lead }: { title: string; lead: string }) {
  return (
    <header class="entry-head">
      <Mark size={32} />
      <h1>{title}</h1>
      <p class="hint">{lead}</p>
    </header>
  );
}

function SignIn() {
  const [options, setOptions] = useState<LoginOptions>({ password_login: true, passkey_rp_id: null, issuers: [] });
  useEffect(() => {
    // A server that does not answer is reported by the form.
    api.getPublic<LoginOptions>("auth/oidc").then(setOptions, () => undefined);
  }, []);
  const current = route.value;
  const problem = current.view === "sign-in" ? current.problem : null;
  const lead = current.view === "connect" ? t.connect.signIn : hasEnded.value ? t.signIn.ended : t.signIn.lead;
  return (
    <>
      <Head title={t.signIn.title} lead={lead} />
      {problem && <p role="alert">{t.errors.known[problem] ?? t.signIn.failed}</p>}
      <IssuerSignOut />
      {options.issuers.length > 0 && (
        <div class="entry-issuers">
          {options.issuers.map(({ id, label }) => (
            <Button key={id} onClick={() => leaveToSignIn(new URL(`auth/oidc/${id}/start`, api.base))}>
              {t.signIn.by(label)}
            </Button>
          ))}
        </div>
      )}
      {options.password_login && <PasswordSignIn hasPasskeys={canUsePasskeys(options)} />}
    </>
  );
}

function IssuerSignOut() {
  const issuer = issuerLogout.value;
  const returned = returnedFrom.value;
  if (issuer === null) return returned && <p role="status">{t.signIn.outOfIssuer(returned)}</p>;
  return (
    <Button kind="plain" onClick={() => leaveToSignOut(issuer)}>
      {t.signIn.outToo(issuer.label)}
    </Button>
  );
}

function PasswordSignIn({ hasPasskeys }: { hasPasskeys: boolean }) {
  const [challenge, setChallenge] = useState<string | null>(null);
  if (challenge !== null)
    return <SecondStep challenge={challenge} hasPasskeys={hasPasskeys} onBack={() => setChallenge(null)} />;
  return (
    <>
      <Form
        submit={t.signIn.submit}
        onSubmit={async ({ email, password }) => {
          const outcome = await signIn("auth/login", { email, password });
          if (typeof outcome === "object") setChallenge(outcome.challenge);
        }}
      >
        <Field label={t.signIn.email} name="email" type="email" autocomplete="username" required autofocus />
        <Field label={t.signIn.password} name="password" type="password" autocomplete="current-password" required />
        <p class="aside">
          <a href={href.reset()}>{t.signIn.forgot}</a>
        </p>
      </Form>
      {hasPasskeys && (
        <Form submit={t.passkeys.signIn} kind="plain" onSubmit={() => signInByPasskey()}>
          {null}
        </Form>
      )}
      <p class="entry-switch">
        {t.signIn.noAccount} <a href={href.register()}>{t.signIn.register}</a>
      </p>
    </>
  );
}

interface SecondStepProps {
  challenge: string;
  hasPasskeys: boolean;
  onBack: () => void;
}

function SecondStep({ challenge, hasPasskeys, onBack }: SecondStepProps) {
  return (
    <>
      <Form
        submit={t.signIn.submit}
        onSubmit={async ({ code }) => {
          await signIn("auth/login/second-factor", { challenge, code });
        }}
      >
        <Field
          label={t.secondFactor.code}
          name="code"
          autocomplete="one-time-code"
          required
          autofocus
          hint={t.secondFactor.codeHint}
        />
      </Form>
      {hasPasskeys && (
        <Form submit={t.passkeys.instead} kind="plain" onSubmit={() => signInByPasskey(challenge)}>
          {null}
        </Form>
      )}
      <Button kind="quiet" onClick={onBack}>
        {t.common.back}
      </Button>
    </>
  );
}

function Register() {
  const [pending, setPending] = useState<{ email: string; password: string } | null>(null);
  if (pending) return <Verify {...pending} />;
  const register = async (values: Record<string, string>) => {
    const { email = "", password = "", name, invite } = values;
    const body = { email, password, display_name: name || null, invite: invite || null };
    if ((await signIn("auth/register", body)) === "pending") setPending({ email, password });
  };
  return (
    <>
      <Head title={t.register.title} lead={t.register.lead} />
      <Form submit={t.register.submit} onSubmit={register}>
        <Field label={t.signIn.email} name="email" type="email" autocomplete="username" required autofocus />
        <Field
          label={t.signIn.password}
          name="password"
          type="password"
          autocomplete="new-password"
          required
          hint={t.register.passwordHint}
        />
        <Field label={t.register.name} name="name" autocomplete="name" maxLength={100} hint={t.register.nameHint} />
        <details class="more">
          <summary>{t.register.invite}</summary>
          <Field label={t.register.invite} name="invite" autocomplete="off" hint={t.register.inviteHint} />
        </details>
      </Form>
      <p class="entry-switch">
        {t.register.haveAccount} <a href={href.signIn()}>{t.signIn.submit}</a>
      </p>
    </>
  );
}

function Verify({ email, password }: { email: string; password: string }) {
  return (
    <>
      <Head title={t.verify.title} lead={t.verify.lead(email)} />
      <Form
        submit={t.verify.submit}
        onSubmit={async ({ code = "" }) => {
          await signIn("auth/verify", { email, password, code: code.trim() });
        }}
      >
        <Field label={t.verify.code} name="code" autocomplete="one-time-code" required autofocus />
      </Form>
      <p class="entry-switch">
        <a href={href.signIn()}>{t.common.back}</a>
      </p>
    </>
  );
}

function Reset() {
  const [email, setEmail] = useState<string | null>(null);
  const [isDone, setDone] = useState(false);
  if (isDone) {
    return (
      <>
        <Head title={t.reset.codeTitle} lead={t.reset.done} />
        <Form submit={t.signIn.submit} onSubmit={async () => navigate(href.signIn())}>
          {null}
        </Form>
      </>
    );
  }
  if (email !== null) {
    return (
      <>
        <Head title={t.reset.codeTitle} lead={t.reset.codeLead(email)} />
        <Form
          submit={t.reset.codeSubmit}
          onSubmit={async ({ code = "", password = "" }) => {
            await api.sendPublic("auth/password/reset", { email, code: code.trim(), new_password: password });
            setDone(true);
          }}
        >
          <Field label={t.verify.code} name="code" autocomplete="one-time-code" required autofocus />
          <Field
            label={t.reset.newPassword}
            name="password"
            type="password"
            autocomplete="new-password"
            required
            hint={t.register.passwordHint}
          />
        </Form>
      </>
    );
  }
  return (
    <>
      <Head title={t.reset.title} lead={t.reset.lead} />
      <Form
        submit={t.reset.submit}
        onSubmit={async (values) => {
          await api.sendPublic("auth/password/forgot", { email: values.email });
          setEmail(values.email ?? "");
        }}
      >
        <Field label={t.signIn.email} name="email" type="email" autocomplete="username" required autofocus />
      </Form>
      <p class="entry-switch">
        <a href={href.signIn()}>{t.common.back}</a>
      </p>
    </>
  );
}
