/** Turns the second factor of logins on and off. */

import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api/errors.ts";
import { Field, Form, Secret } from "../components/controls.tsx";
import { useLoaded } from "../components/loading.tsx";
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
  onChange?: () => Promise<void>;
  /** The server demands a second factor, so that it is added here and not removed. Called once it is on. */
  onDemanded?: () => void;
}

const readFactor = () => api.get<SecondFactor>("auth/second-factor");

export function SecondFactorSection({ onChange, onDemanded }: SectionProps) {
  const { result: factor, load, pending } = useLoaded(readFactor);
  const [enrolment, setEnrolment] = useState<Enrolment | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  const isOn = factor?.enabled ?? false;
  useEffect(() => {
    if (isOn) onDemanded?.();
  }, [isOn, onDemanded]);
  if (factor === null) return pending;
  const begin = async ({ password }: Record<string, string>) => {
    try {
      setEnrolment(await api.post<Enrolment>("auth/second-factor", { password: password || null }));
    } catch (error) {
      // Another tab may have turned it on since.
      if (!(error instanceof ApiError && error.code === "second_factor_on")) throw error;
      await load();
    }
  };
  const confirm = async ({ code }: Record<string, string>) => {
    const answer = await api.post<{ recovery_codes: string[] }>("auth/second-factor/confirm", { code });
    setEnrolment(null);
    setCodes(answer.recovery_codes);
    await load();
    await onChange?.();
  };
  const remove = async ({ password, code }: Record<string, string>) => {
    await api.delete("auth/second-factor", { password: password || null, code });
    setCodes(null);
    await load();
  };
  return (
    <div class="panel">
      <h3>{t.secondFactor.title}</h3>
      <p class="hint">{isOn ? t.secondFactor.on(factor.recovery_codes_left) : t.secondFactor.off}</p>
      {codes && <Secret text={codes.join("\n")} hint={t.secondFactor.recovery} />}
      {isOn && onDemanded ? null : isOn ? (
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
        <Form key="begin" submit={t.secondFactor.begin} onSubmit={begin}>
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
