/** The user's prompts and those shared with the user. */

import { useEffect, useState } from "preact/hooks";
import type { Prompt, PromptDetail } from "../api/types.ts";
import { Button, Empty, Field, Form, Spinner, TextArea } from "../components/controls.tsx";
import { Icon } from "../components/Icon.tsx";
import { Dialog, Menu, openDialog } from "../components/overlays.tsx";
import { insertPrompt } from "../components/PromptForm.tsx";
import { report } from "../state/notices.ts";
import { draftKey, recall, remember } from "../state/preferences.ts";
import { loadPrompts, prompts } from "../state/prompts.ts";
import { href, navigate } from "../state/router.ts";
import { api } from "../state/session.ts";
import { t } from "../text/index.ts";
import { ownerMenu } from "./ownerMenu.tsx";
import { Topbar } from "./Topbar.tsx";

export function PromptsView() {
  useEffect(() => {
    loadPrompts().catch(report);
  }, []);
  return (
    <div class="screen">
      <Topbar title={t.prompts.title} />
      <div class="screen-body">
        <div class="screen-head">
          <p class="lead">{t.prompts.lead}</p>
          <Button
            kind="primary"
            icon="plus"
            onClick={() => openDialog((close) => <PromptEditor id={null} close={close} />)}
          >
            {t.prompts.add}
          </Button>
        </div>
        {prompts.value === null && <Spinner label={t.common.loading} />}
        {prompts.value?.length === 0 && <Empty icon="edit" title={t.prompts.empty} lead={t.prompts.emptyLead} />}
        <ul class="cards">
          {prompts.value?.map((one) => (
            <PromptCard key={one.id} prompt={one} />
          ))}
        </ul>
      </div>
    </div>
  );
}

function PromptCard({ prompt }: { prompt: Prompt }) {
  const details = [
    prompt.description ?? "",
    prompt.shared ? t.documents.shared : "",
    prompt.owner ? t.groups.sharedBy(prompt.owner.display_name ?? prompt.owner.email) : "",
  ];
  return (
    <li class="card">
      <span class="card-icon" aria-hidden="true">
        <Icon name="edit" size={22} />
      </span>
      <div class="card-text">
        <p class="card-title">/{prompt.name}</p>
        <p class="hint" dir="auto">
          {details.filter(Boolean).join(" · ")}
        </p>
      </div>
      <Button onClick={() => insertPrompt(prompt, startChat)}>{t.prompts.use}</Button>
      {prompt.is_own && <Menu label={t.prompts.options(prompt.name)} items={menuItems(prompt)} />}
    </li>
  );
}

/** Add a text to the draft of the next chat, and go there. */
function startChat(text: string): void {
  const key = draftKey(null);
  remember(key, [recall(key, ""), text].filter(Boolean).join("\n\n"));
  navigate(href.chat(null));
}

function menuItems(prompt: Prompt) {
  return ownerMenu({
    path: `prompts/${prompt.id}`,
    title: `/${prompt.name}`,
    shared: prompt.shared,
    shareLead: t.prompts.shareLead,
    deleteTitle: t.prompts.deleteTitle,
    deleteLead: t.prompts.deleteLead(prompt.name),
    editor: (close) => <PromptEditor id={prompt.id} close={close} />,
    reload: loadPrompts,
  });
}

function PromptEditor({ id, close }: { id: string | null; close: () => void }) {
  const [prompt, setPrompt] = useState<PromptDetail | null>(null);
  useEffect(() => {
    if (id !== null) api.get<PromptDetail>(`prompts/${id}`).then(setPrompt, report);
  }, []);
  const save = async (values: Record<string, string>) => {
    const body = { name: values.name, text: values.text, description: values.description?.trim() || null };
    if (id === null) await api.post("prompts", body, { idempotencyKey: crypto.randomUUID() });
    else await api.patch(`prompts/${id}`, body);
    close();
    await loadPrompts();
  };
  return (
    <Dialog title={id === null ? t.prompts.add : t.common.edit} onClose={close} wide>
      {id !== null && prompt === null ? (
        <Spinner label={t.common.loading} />
      ) : (
        <Form submit={t.common.save} onSubmit={save}>
          <Field
            label={t.prompts.name}
            name="name"
            defaultValue={prompt?.name ?? ""}
            required
            maxLength={40}
            hint={t.prompts.nameHint}
            autofocus
            autocomplete="off"
          />
          <TextArea
            label={t.prompts.text}
            name="text"
            value={prompt?.text ?? ""}
            required
            maxLength={16_000}
            hint={t.prompts.textHint}
            rows={8}
          />
          <Field
            label={t.prompts.description}
            name="description"
            defaultValue={prompt?.description ?? ""}
            maxLength={300}
            dir="auto"
            autocomplete="off"
          />
        </Form>
      )}
    </Dialog>
  );
}
