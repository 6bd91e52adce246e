/** Buttons, fields and switches. */

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { ApiError, Offline } from "../api/errors.ts";
import { notify, report } from "../state/notices.ts";
import { explain } from "../text/format.ts";
import { t } from "../text/index.ts";
import { Icon, type IconName } from "./Icon.tsx";

interface ButtonProps {
  children: ComponentChildren;
  kind?: "primary" | "plain" | "danger" | "quiet";
  icon?: IconName;
  type?: "button" | "submit";
  disabled?: boolean;
  onClick?: () => void;
}

export function Button({ children, kind = "plain", icon, type = "button", disabled = false, onClick }: ButtonProps) {
  return (
    <button type={type} class={`button is-${kind}`} disabled={disabled} onClick={onClick}>
      {icon && <Icon name={icon} size={18} />}
      <span>{children}</span>
    </button>
  );
}

interface IconButtonProps {
  icon: IconName;
  label: string;
  onClick?: (event: MouseEvent) => void;
  pressed?: boolean;
  disabled?: boolean;
  size?: number;
  class?: string;
}

export function IconButton({ icon, label, onClick, pressed, disabled = false, size = 18, ...rest }: IconButtonProps) {
  return (
    <button
      type="button"
      class={`icon-button ${rest.class ?? ""}`}
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon name={icon} size={size} />
    </button>
  );
}

interface FieldProps {
  name?: string;
  type?: "text" | "email" | "password" | "number" | "time" | "url";
  value?: string;
  defaultValue?: string | number;
  required?: boolean;
  readOnly?: boolean;
  maxLength?: number;
  min?: number;
  max?: number;
  step?: string;
  autocomplete?: string;
  autofocus?: boolean;
  dir?: "auto";
  label: string;
  hint?: string;
}

/** A labelled input. */
export function Field({ label, hint, ...input }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input id={id} aria-describedby={hint ? `${id}-hint` : undefined} {...(input as object)} />
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

interface TextAreaProps {
  label: string;
  name: string;
  value?: string;
  rows: number;
  required?: boolean;
  maxLength?: number;
  autofocus?: boolean;
  hint?: string;
}

/** A labelled field for several lines. */
export function TextArea({ label, value = "", maxLength = 32_000, hint, ...area }: TextAreaProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea id={id} maxLength={maxLength} dir="auto" aria-describedby={hint ? `${id}-hint` : undefined} {...area}>
        {value}
      </textarea>
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

interface SwitchProps {
  label: string;
  hint?: string;
  checked: boolean;
  disabled?: boolean;
  onChange: (checked: boolean) => void;
}

export function Switch({ label, hint, checked, disabled = false, onChange }: SwitchProps) {
  const id = useId();
  return (
    <div class="switch-row">
      <div>
        <label for={id}>{label}</label>
        {hint && (
          <p class="hint" id={`${id}-hint`}>
            {hint}
          </p>
        )}
      </div>
      <input
        id={id}
        class="switch"
        type="checkbox"
        role="switch"
        aria-checked={checked}
        checked={checked}
        disabled={disabled}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
    </div>
  );
}

interface FormProps {
  submit: string;
  kind?: "primary" | "plain" | "danger";
  children: ComponentChildren;
  onSubmit: (values: Record<string, string>) => Promise<void>;
  disabled?: boolean;
  /** Buttons beside the submit button. */
  beside?: ComponentChildren;
}

/** A form that shows its error as a sentence, next to its button, and keeps what was typed. */
export function Form({ submit, kind = "primary", children, onSubmit, disabled = false, beside }: FormProps) {
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    const entries = new FormData(event.currentTarget as HTMLFormElement).entries();
    setBusy(true);
    setError(null);
    try {
      await onSubmit(Object.fromEntries(entries) as Record<string, string>);
    } catch (problem) {
      if (problem instanceof ApiError || problem instanceof Offline) setError(explain(problem));
      else report(problem);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form class="form" onSubmit={send}>
      {children}
      {error && (
        <p class="form-error" role="alert">
          <Icon name="warning" size={18} />
          <span>{error}</span>
        </p>
      )}
      <div class="form-actions">
        <Button kind={kind} type="submit" disabled={isBusy || disabled}>
          {submit}
        </Button>
        {beside}
      </div>
    </form>
  );
}

export function Spinner({ label }: { label: string }) {
  return (
    <p class="spinner" role="status">
      <span class="dots" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      <span class="visually-hidden">{label}</span>
    </p>
  );
}

/** What a screen shows before it has content: a sentence, and what to do. */
export function Empty({
  icon,
  title,
  lead,
  children,
}: {
  icon: IconName;
  title: string;
  lead?: string;
  children?: ComponentChildren;
}) {
  return (
    <div class="empty">
      <Icon name={icon} size={32} />
      <p class="empty-title">{title}</p>
      {lead && <p class="hint">{lead}</p>}
      {children}
    </div>
  );
}

/** A secret that is shown once, with a button to copy it. */
export function Secret({ text, hint }: { text: string; hint: string }) {
  return (
    <div class="secret" role="status">
      <p>{hint}</p>
      <code tabIndex={0}>{text}</code>
      <Button
        icon="copy"
        onClick={() => navigator.clipboard.writeText(text).then(() => notify(t.common.copied), report)}
      >
        {t.common.copy}
      </Button>
    </div>
  );
}
