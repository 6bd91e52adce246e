/** Turns the second factor of logins on and off. */

import { useCallback, useEffect, useState } from "preact/hooks";
import { Field, Form, Secret } from "../components/controls.tsx";
import { report } from "../state/notices.ts";
import { api } from "../state/session.ts";
import { t } from "../text/index.ts";

interface SecondFactor {
  enabled: boolean;
  recovery_codes_left: number;
}

interface Enrolment {
  secret: string;
  uri: string;
  qr_svg: string;
}

interface SectionProps {
  onChange: () => Promise<void>;
  /** The server demands a second factor, so that it is added here and not removed. */
  isDemanded?: boolean;
}

export function SecondFactorSection({ onChange, isDemanded = false }: SectionProps) {
  const [factor, setFactor] = useState<SecondFactor | null>(null);
  const [enrolment, setEnrolment] = useState<Enrolment | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  const reload = useCallback(() => api.get<SecondFactor>("auth/second-factor").then(setFactor, report), []);
  useEffect(() => {
    reload();
  }, [reload]);
  if (factor === null) return null;
  const confirm = async ({ code }: Record<string, string>) => {
    const answer = await api.post<{ recovery_codes: string[] }>("auth/second-factor/confirm", { code });
    setEnrolment(null);
    setCodes(answer.recovery_codes);
    await reload();
    await onChange();
  };
  const remove = async ({ password, code }: Record<string, string>) => {
    await api.delete("auth/second-factor", { password: password || null, code });
    setCodes(null);
    await reload();
  };
  return (
    <div class="panel">
      <h3>{t.secondFactor.title}</h3>
      <p class="hint">{factor.enabled ? t.secondFactor.on(factor.recovery_codes_left) : t.secondFactor.off}</p>
      {codes && <Secret text={codes.join("\n")} hint={t.secondFactor.recovery} />}
      {factor.enabled && isDemanded ? null : factor.enabled ? (
        <Form key="remove" submit={t.secondFactor.remove} kind="danger" onSubmit={remove}>
          <Password />
          <Field label={t.secondFactor.code} name="code" autocomplete="one-time-code" required />
        </Form>
      ) : enrolment ? (
        <>
          <img class="qr-code" src={pictureOf(enrolment.qr_svg)} alt={t.secondFactor.qrCode} />
          <Secret text={enrolment.secret} hint={t.secondFactor.lead} />
          <a href={enrolment.uri}>{t.secondFactor.open}</a>
          <Form key="confirm" submit={t.secondFactor.confirm} onSubmit={confirm}>
            <Field label={t.secondFactor.code} name="code" autocomplete="one-time-code" required autofocus />
          </Form>
        </>
      ) : (
        <Form
          key="begin"
          submit={t.secondFactor.begin}
          onSubmit={async ({ password }) => {
            setEnrolment(await api.post<Enrolment>("auth/second-factor", { password: password || null }));
          }}
        >
          <Password />
        </Form>
      )}
    </div>
  );
}

/** The address of an SVG document. As an image, it can neither run scripts nor load anything. */
function pictureOf(svg: string): string {
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

/** The password again, which a user of an issuer leaves empty. */
export function Password() {
  return (
    <Field
      label={t.settings.keyPassword}
      name="password"
      type="password"
      autocomplete="current-password"
      hint={t.settings.noPassword}
    />
  );
}
