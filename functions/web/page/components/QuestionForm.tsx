/** A form that the model or a tool server asks the user to answer, while its turn waits. */

import { useId } from "preact/hooks";
import type { FormField, UserQuestion } from "../api/types.ts";
import type { Chat } from "../state/chat.ts";
import { report } from "../state/notices.ts";
import { answersOf, inputName, isPreset } from "../state/questions.ts";
import { t } from "../text/index.ts";
import { Button, Form } from "./controls.tsx";
import { Icon } from "./Icon.tsx";

export function QuestionForm({ question, chat }: { question: UserQuestion; chat: Chat }) {
  const { server, message, fields } = question.form;
  const title = server ? t.question.byServer(server) : t.question.byModel;
  return (
    <section class="question" aria-label={title}>
      <h2>
        <Icon name="tool" size={18} />
        {title}
      </h2>
      {message && <p dir="auto">{message}</p>}
      <Form
        submit={t.question.submit}
        onSubmit={(values) => chat.answer(question, answersOf(fields, values))}
        beside={
          <Button kind="quiet" onClick={() => chat.answer(question, null).catch(report)}>
            {t.question.decline}
          </Button>
        }
      >
        {fields.map((field, index) => (
          <QuestionField key={field.id} field={field} index={index} />
        ))}
        <p class="hint">
          {server && `${t.question.toServer(server)} `}
          {t.question.warning}
        </p>
      </Form>
    </section>
  );
}

function QuestionField({ field, index }: { field: FormField; index: number }) {
  const label = field.required ? field.text : t.question.optional(field.text);
  if (field.kind === "choice" || field.kind === "multiple") {
    const type = field.kind === "choice" ? "radio" : "checkbox";
    return <Options field={field} index={index} label={label} options={field.options} type={type} />;
  }
  if (field.kind === "boolean") {
    const options = [
      { value: "true", label: t.question.yes },
      { value: "false", label: t.question.no },
    ];
    return <Options field={field} index={index} label={label} options={options} type="radio" />;
  }
  return <Input field={field} index={index} label={label} />;
}

interface OptionsProps {
  field: FormField;
  index: number;
  label: string;
  options: { value: string; label: string }[];
  type: "radio" | "checkbox";
}

function Options({ field, index, label, options, type }: OptionsProps) {
  return (
    <fieldset>
      <legend dir="auto">{label}</legend>
      {options.map((option, number) => (
        <label key={option.value}>
          <input
            type={type}
            name={type === "radio" ? inputName(index) : inputName(index, number)}
            value={option.value}
            required={type === "radio" && field.required}
            defaultChecked={isPreset(field, field.kind === "boolean" ? option.value === "true" : option.value)}
          />
          <span dir="auto">{option.label}</span>
        </label>
      ))}
    </fieldset>
  );
}

const TYPES = { email: "email", uri: "url", date: "date", "date-time": "datetime-local" } as const;

function Input({ field, index, label }: { field: FormField; index: number; label: string }) {
  const id = useId();
  const type = field.kind === "number" ? "number" : field.format ? TYPES[field.format] : "text";
  const bounds =
    field.kind === "number"
      ? { type, min: field.minimum ?? undefined, max: field.maximum ?? undefined, step: field.is_integer ? "1" : "any" }
      : { type, minLength: field.min_length ?? undefined, maxLength: field.max_length ?? 4000 };
  return (
    <div class="field">
      <label for={id} dir="auto">
        {label}
      </label>
      <input
        id={id}
        name={inputName(index)}
        required={field.required}
        defaultValue={field.default === null ? "" : String(field.default)}
        autocomplete="off"
        dir="auto"
        {...(bounds as object)}
      />
    </div>
  );
}
