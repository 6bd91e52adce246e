/** The form that asks for the variables of a prompt. */

import { useId } from "preact/hooks";
import type { Prompt } from "../api/types.ts";
import { report } from "../state/notices.ts";
import { fillPrompt } from "../state/prompts.ts";
import { t } from "../text/index.ts";
import { Field, Form, TextArea } from "./controls.tsx";
import { Dialog, openDialog } from "./overlays.tsx";

/** Fill in a prompt, after asking for its variables if it has any, and pass the text to `put`. */
export function insertPrompt(prompt: Prompt, put: (text: string) => void): void {
  if (prompt.variables.length === 0) fillPrompt(prompt.id, {}).then(put, report);
  else openDialog((close) => <PromptForm prompt={prompt} put={put} close={close} />);
}

function PromptForm({ prompt, put, close }: { prompt: Prompt; put: (text: string) => void; close: () => void }) {
  const insert = async (values: Record<string, string>) => {
    const text = await fillPrompt(prompt.id, values);
    close();
    put(text);
  };
  return (
    <Dialog title={`/${prompt.name}`} onClose={close}>
      {prompt.description && (
        <p class="hint" dir="auto">
          {prompt.description}
        </p>
      )}
      <Form submit={t.prompts.insert} onSubmit={insert}>
        {prompt.variables.map((variable, index) => (
          <VariableField key={variable.name} variable={variable} isFirst={index === 0} />
        ))}
      </Form>
    </Dialog>
  );
}

function VariableField({ variable, isFirst }: { variable: Prompt["variables"][number]; isFirst: boolean }) {
  const id = useId();
  const common = { label: variable.name.replaceAll("_", " "), name: variable.name, required: true, autofocus: isFirst };
  if (variable.type === "number") return <Field {...common} type="number" step="any" />;
  if (variable.type === "text") return <TextArea {...common} rows={2} maxLength={100_000} />;
  return (
    <div class="field">
      <label for={id}>{common.label}</label>
      <select id={id} name={variable.name} autofocus={isFirst}>
        {variable.choices.map((choice) => (
          <option key={choice}>{choice}</option>
        ))}
      </select>
    </div>
  );
}
