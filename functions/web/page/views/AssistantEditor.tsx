/** The settings of an assistant, in a dialog. Saving them stores a new version. */

import { useEffect, useId, useState } from "preact/hooks";
import type { AssistantDetail, DocumentInfo, Page } from "../api/types.ts";
import { Field, Form, Spinner, Switch, TextArea } from "../components/controls.tsx";
import { Dialog } from "../components/overlays.tsx";
import { loadAssistants } from "../state/assistants.ts";
import { report } from "../state/notices.ts";
import { api, models } from "../state/session.ts";
import { t } from "../text/index.ts";

type Settings = Pick<
  AssistantDetail,
  "name" | "picture" | "description" | "instructions" | "model" | "tools" | "documents" | "memory" | "starters"
>;

const NEW: Settings = {
  name: "",
  picture: null,
  description: null,
  instructions: "",
  model: null,
  tools: true,
  documents: false,
  memory: "all",
  starters: [],
};

export function AssistantEditor({ id, close }: { id: string | null; close: () => void }) {
  const [settings, setSettings] = useState<Settings | null>(id === null ? NEW : null);
  const [documents, setDocuments] = useState<DocumentInfo[]>([]);
  useEffect(() => {
    if (id !== null) api.get<AssistantDetail>(`assistants/${id}`).then(setSettings, report);
    api.get<Page<DocumentInfo>>("documents", { limit: 100 }).then((page) => setDocuments(page.items), report);
  }, []);
  return (
    <Dialog title={id === null ? t.assistants.add : t.common.edit} onClose={close} wide>
      {settings === null ? (
        <Spinner label={t.common.loading} />
      ) : (
        <Editor id={id} settings={settings} documents={documents} close={close} />
      )}
    </Dialog>
  );
}

interface EditorProps {
  id: string | null;
  settings: Settings;
  documents: DocumentInfo[];
  close: () => void;
}

function Editor({ id, settings, documents, close }: EditorProps) {
  const [remembers, setRemembers] = useState(settings.memory === "all");
  const [usesTools, setUsesTools] = useState(settings.tools !== false);
  const [chosen, setChosen] = useState(settings.documents);
  const save = async (values: Record<string, string>) => {
    const body = {
      name: values.name,
      picture: values.picture?.trim() || null,
      description: values.description?.trim() || null,
      instructions: values.instructions,
      model: values.model || null,
      // A list of tools, which the terminal can set, is kept.
      tools: usesTools ? settings.tools || true : false,
      documents: chosen,
      memory: remembers ? "all" : "none",
      starters: (values.starters ?? "")
        .split("\n")
        .map((line) => line.trim())
        .filter(Boolean),
    };
    if (id === null) await api.post("assistants", body);
    else await api.patch(`assistants/${id}`, body);
    close();
    await loadAssistants();
  };
  return (
    <Form submit={t.common.save} onSubmit={save}>
      <Field
        label={t.assistants.name}
        name="name"
        defaultValue={settings.name}
        required
        maxLength={100}
        dir="auto"
        autofocus
        autocomplete="off"
      />
      <Field
        label={t.assistants.picture}
        name="picture"
        defaultValue={settings.picture ?? ""}
        maxLength={12}
        hint={t.assistants.pictureHint}
        autocomplete="off"
      />
      <Field
        label={t.assistants.description}
        name="description"
        defaultValue={settings.description ?? ""}
        maxLength={300}
        dir="auto"
        autocomplete="off"
      />
      <TextArea label={t.assistants.instructions} name="instructions" value={settings.instructions} rows={8} />
      <ModelField model={settings.model} />
      <TextArea
        label={t.assistants.starters}
        name="starters"
        value={settings.starters.join("\n")}
        hint={t.assistants.startersHint}
        rows={3}
      />
      <Switch label={t.assistants.tools} checked={usesTools} onChange={setUsesTools} />
      <Switch label={t.assistants.memory} hint={t.assistants.memoryHint} checked={remembers} onChange={setRemembers} />
      <DocumentSwitches documents={documents} chosen={chosen} onChange={setChosen} />
    </Form>
  );
}

function ModelField({ model }: { model: string | null }) {
  const id = useId();
  const known = models.value.map((one) => one.id);
  return (
    <div class="field">
      <label for={id}>{t.chat.model}</label>
      <select id={id} name="model">
        <option value="">{t.settings.modelDefault}</option>
        {(model && !known.includes(model) ? [model, ...known] : known).map((name) => (
          <option key={name} value={name} selected={name === model}>
            {name}
          </option>
        ))}
      </select>
    </div>
  );
}

interface DocumentSwitchesProps {
  documents: DocumentInfo[];
  chosen: boolean | string[];
  onChange: (chosen: boolean | string[]) => void;
}

function DocumentSwitches({ documents, chosen, onChange }: DocumentSwitchesProps) {
  const named = Array.isArray(chosen) ? chosen : [];
  const toggle = (id: string, isOn: boolean) => {
    const next = isOn ? [...named, id] : named.filter((other) => other !== id);
    onChange(next.length > 0 ? next : false);
  };
  return (
    <>
      <Switch
        label={t.assistants.allDocuments}
        hint={t.assistants.documentsHint}
        checked={chosen === true}
        onChange={onChange}
      />
      {chosen !== true &&
        documents.map((one) => (
          <Switch
            key={one.id}
            label={one.title}
            checked={named.includes(one.id)}
            onChange={(isOn) => toggle(one.id, isOn)}
          />
        ))}
    </>
  );
}
