/** The field for the next message: model, tools, documents, images, the queue, and suggestions for `/`, `@` and `#`. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { DocumentInfo, Model, Page } from "../api/types.ts";
import type { Chat, Question } from "../state/chat.ts";
import { documentTypes, uploadDocument } from "../state/documents.ts";
import { notify, report } from "../state/notices.ts";
import { draftKey, recall, remember } from "../state/preferences.ts";
import { loadPrompts, prompts } from "../state/prompts.ts";
import { href, navigate } from "../state/router.ts";
import { api, defaultModel, models } from "../state/session.ts";
import { dollars } from "../text/format.ts";
import { t } from "../text/index.ts";
import { Shortcuts } from "../views/Shortcuts.tsx";
import { IconButton } from "./controls.tsx";
import { Icon, type IconName } from "./Icon.tsx";
import { openDialog } from "./overlays.tsx";
import { insertPrompt } from "./PromptForm.tsx";

const MAX_IMAGES = 10;

interface Options {
  model: string | null;
  tools: boolean;
  documents: boolean;
  only: { id: string; title: string }[];
  incognito: boolean;
}

const INITIAL: Options = { model: null, tools: true, documents: false, only: [], incognito: false };

export function Composer({ chat }: { chat: Chat }) {
  const key = draftKey(chat.id.value);
  const [text, setText] = useState(() => recall(key, ""));
  const [images, setImages] = useState<string[]>([]);
  const [options, setOptions] = useState<Options>(() => ({ ...INITIAL, ...recall<Partial<Options>>("composer", {}) }));
  const [uploads, setUploads] = useState<string[]>([]);
  const [isDropping, setDropping] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);

  const write = (value: string) => {
    setText(value);
    remember(key, value);
  };
  const change = (changes: Partial<Options>) => {
    const next = { ...options, ...changes };
    setOptions(next);
    remember("composer", { model: next.model, tools: next.tools, documents: next.documents });
  };
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) field.current?.focus();
  }, []);
  useLayoutEffect(() => fit(field.current), [text]);
  // A question that could not be sent comes back, above the text and images that were added meanwhile.
  const returned = chat.returned.value;
  useEffect(() => {
    if (!returned) return;
    chat.returned.value = null;
    write(text.trim() ? `${returned.text}\n\n${text}` : returned.text);
    const back = returned.images.filter((image) => image.startsWith("data:"));
    setImages((before) => [...new Set([...back, ...before])].slice(0, MAX_IMAGES));
  }, [returned]);

  const isBusy = chat.isBusy;
  const send = () => {
    const message = text.trim();
    if (!message) return;
    const { model, tools, documents, only, incognito } = options;
    const question: Question = {
      text: message,
      images,
      model,
      tools,
      documents: only.length > 0 ? only.map((one) => one.id) : documents,
      incognito,
    };
    write("");
    setImages([]);
    chat.ask(question).catch(report);
  };
  const take = async (files: Iterable<File>) => {
    for (const file of files) {
      if (file.type.startsWith("image/") && file.type !== "image/svg+xml") {
        const url = await dataUrl(file);
        setImages((before) => {
          if (before.length < MAX_IMAGES) return [...before, url];
          notify(t.chat.tooManyImages, "error");
          return before;
        });
      } else {
        setUploads((before) => [...before, file.name]);
        const added = await uploadDocument(file).catch(report);
        setUploads((before) => before.filter((name) => name !== file.name));
        if (added) change({ documents: true });
      }
    }
  };
  const onPaste = (event: ClipboardEvent) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    take(files);
  };
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setDropping(false);
    take([...(event.dataTransfer?.files ?? [])]);
  };
  const put = (value: string) => {
    write(value);
    field.current?.focus();
  };
  const suggestions = useSuggestions(text, options, change, put);
  const choose = (index: number) => {
    const chosen = suggestions.items[index];
    if (!chosen) return;
    write(text.replace(/(^|\s)[/@#]\S*$/, "$1"));
    chosen.apply();
    field.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    if (suggestions.items.length > 0 && suggestions.onKey(event, choose)) return;
    if (event.key === "Enter" && !event.shiftKey && matchMedia("(pointer: fine)").matches) {
      event.preventDefault();
      send();
    } else if (event.key === "Escape" && isBusy) chat.stop();
  };
  return (
    <div
      class={isDropping ? "composer is-dropping" : "composer"}
      onDragOver={(event) => {
        event.preventDefault();
        setDropping(true);
      }}
      onDragLeave={() => setDropping(false)}
      onDrop={onDrop}
    >
      <Queue chat={chat} />
      {suggestions.items.length > 0 && <Suggestions {...suggestions} choose={choose} />}
      <form
        class="composer-box"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        {isDropping && <p class="drop-hint">{t.chat.dropHere}</p>}
        {uploads.map((name) => (
          <p key={name} class="upload" role="status">
            {t.chat.uploading(name)}
          </p>
        ))}
        {images.length > 0 && (
          <div class="images">
            {images.map((image, index) => (
              <span key={image} class="image-chip">
                <img src={image} alt="" />
                <IconButton
                  icon="close"
                  label={t.common.delete}
                  size={14}
                  onClick={() => setImages(images.filter((_, at) => at !== index))}
                />
              </span>
            ))}
          </div>
        )}
        <textarea
          ref={field}
          rows={1}
          value={text}
          dir="auto"
          aria-label={t.chat.composer}
          placeholder={isBusy ? t.chat.placeholderQueue : t.chat.placeholder}
          onInput={(event) => write(event.currentTarget.value)}
          onKeyDown={onKeyDown}
          onPaste={onPaste}
        />
        <div class="composer-bar">
          <input
            ref={picker}
            type="file"
            class="visually-hidden"
            tabIndex={-1}
            aria-hidden="true"
            multiple
            accept={documentTypes}
            onChange={(event) => {
              take([...(event.currentTarget.files ?? [])]);
              event.currentTarget.value = "";
            }}
          />
          <IconButton icon="attach" label={t.chat.attach} onClick={() => picker.current?.click()} />
          <Toggle
            icon="tool"
            label={t.chat.useTools}
            hint={t.chat.useToolsHint}
            isOn={options.tools}
            onToggle={() => change({ tools: !options.tools })}
          />
          <Toggle
            icon="document"
            label={options.only[0]?.title ?? t.chat.useDocuments}
            hint={t.chat.useDocumentsHint}
            isOn={options.documents || options.only.length > 0}
            onToggle={() =>
              change(options.only.length > 0 ? { only: [], documents: false } : { documents: !options.documents })
            }
          />
          {chat.id.value === null && (
            <Toggle
              icon="ghost"
              label={t.chat.incognito}
              hint={t.chat.incognitoHint}
              isOn={options.incognito}
              onToggle={() => change({ incognito: !options.incognito })}
            />
          )}
          <ModelPicker chosen={options.model} onChoose={(model) => change({ model })} />
          {isBusy && !text.trim() ? (
            <button
              type="button"
              class="send is-stop"
              aria-label={t.chat.stop}
              title={t.chat.stop}
              onClick={() => chat.stop()}
            >
              <Icon name="stop" size={20} />
            </button>
          ) : (
            <button type="submit" class="send" aria-label={t.chat.send} title={t.chat.send} disabled={!text.trim()}>
              <Icon name="send" size={20} />
            </button>
          )}
        </div>
      </form>
    </div>
  );
}

function fit(field: HTMLTextAreaElement | null): void {
  if (!field) return;
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

function dataUrl(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

function Toggle({
  icon,
  label,
  hint,
  isOn,
  onToggle,
}: {
  icon: IconName;
  label: string;
  hint: string;
  isOn: boolean;
  onToggle: () => void;
}) {
  return (
    <button type="button" class="toggle" aria-pressed={isOn} title={hint} onClick={onToggle}>
      <Icon name={icon} size={16} />
      <span>{label}</span>
    </button>
  );
}

function ModelPicker({ chosen, onChoose }: { chosen: string | null; onChoose: (id: string | null) => void }) {
  const current = models.value.find((model) => model.id === chosen) ?? defaultModel.value;
  if (!current) return <span class="model-picker" />;
  return (
    <span class="model-picker" title={priceOf(current)}>
      <select
        aria-label={t.chat.model}
        value={current.id}
        onChange={(event) => {
          const { value } = event.currentTarget;
          onChoose(value === defaultModel.value?.id ? null : value);
        }}
      >
        {models.value.map((model) => (
          <option key={model.id} value={model.id} label={`${model.id} · ${priceOf(model)}`}>
            {model.id}
          </option>
        ))}
      </select>
      <span aria-hidden="true">{current.id}</span>
      <Icon name="down" size={14} />
    </span>
  );
}

function priceOf(model: Model): string {
  if (model.input_usd_per_mtok === 0 && model.output_usd_per_mtok === 0) return t.chat.free;
  return t.chat.price(dollars(model.input_usd_per_mtok), dollars(model.output_usd_per_mtok));
}

function Queue({ chat }: { chat: Chat }) {
  if (chat.queue.value.length === 0) return null;
  return (
    <ul class="queue">
      {chat.queue.value.map((question, index) => (
        <li key={`${index}-${question.text}`}>
          <small>{question.steering && chat.isBusy ? t.chat.sentMeanwhile : t.chat.queued}</small>
          <span dir="auto">{question.text}</span>
          {!(question.steering && chat.isBusy) && (
            <IconButton
              icon="close"
              label={t.chat.removeQueued}
              size={14}
              onClick={() => {
                chat.queue.value = chat.queue.value.filter((_, at) => at !== index);
              }}
            />
          )}
        </li>
      ))}
    </ul>
  );
}

interface Suggestion {
  icon: IconName;
  label: string;
  hint: string;
  apply: () => void;
}

interface SuggestionList {
  items: Suggestion[];
  selected: number;
  onKey: (event: KeyboardEvent, choose: (index: number) => void) => boolean;
}

/** What to suggest for the word at the end of the text: commands and prompts after `/`, models after `@`, documents after `#`. */
function useSuggestions(
  text: string,
  options: Options,
  change: (changes: Partial<Options>) => void,
  put: (text: string) => void,
): SuggestionList {
  const [selected, setSelected] = useState(0);
  const [hidden, setHidden] = useState("");
  const [documents, setDocuments] = useState<DocumentInfo[] | null>(null);
  const [, sign = "", word = ""] = /(?:^|\s)([/@#])(\S*)$/.exec(text) ?? [];
  useEffect(() => {
    if (sign !== "#" || documents !== null) return;
    api.get<Page<DocumentInfo>>("documents", { limit: 100 }).then((page) => setDocuments(page.items), report);
  }, [sign]);
  useEffect(() => {
    if (sign === "/" && prompts.value === null) loadPrompts().catch(report);
  }, [sign]);
  useEffect(() => setSelected(0), [sign, word]);
  const all =
    sign === "" || hidden === text
      ? []
      : sign === "/"
        ? [...commands(options, change), ...promptSuggestions(put)]
        : sign === "@"
          ? modelSuggestions(change)
          : documentSuggestions(documents ?? [], options, change);
  const items = (sign === "/" && !/^\/\S*$/.test(text) ? [] : all)
    .filter((item) => item.label.toLowerCase().includes(word.toLowerCase()))
    .slice(0, 8);
  const onKey = (event: KeyboardEvent, choose: (index: number) => void) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setSelected((selected + step + items.length) % items.length);
    else if (event.key === "Enter" || event.key === "Tab") choose(Math.min(selected, items.length - 1));
    else if (event.key === "Escape") setHidden(text);
    else return false;
    event.preventDefault();
    return true;
  };
  return { items, selected: Math.min(selected, items.length - 1), onKey };
}

function commands(options: Options, change: (changes: Partial<Options>) => void): Suggestion[] {
  return [
    { icon: "tool", label: "/tools", hint: t.commands.tools, apply: () => change({ tools: !options.tools }) },
    {
      icon: "document",
      label: "/documents",
      hint: t.commands.documents,
      apply: () => change({ documents: !options.documents }),
    },
    {
      icon: "ghost",
      label: "/incognito",
      hint: t.commands.incognito,
      apply: () => change({ incognito: !options.incognito }),
    },
    { icon: "plus", label: "/new", hint: t.commands.new, apply: () => navigate(href.chat(null)) },
    {
      icon: "menu",
      label: "/shortcuts",
      hint: t.commands.shortcuts,
      apply: () => openDialog((close) => <Shortcuts onClose={close} />),
    },
  ];
}

function promptSuggestions(put: (text: string) => void): Suggestion[] {
  return (prompts.value ?? []).map((prompt) => ({
    icon: "edit",
    label: `/${prompt.name}`,
    hint: prompt.description ?? prompt.owner?.display_name ?? prompt.owner?.email ?? "",
    apply: () => insertPrompt(prompt, put),
  }));
}

function modelSuggestions(change: (changes: Partial<Options>) => void): Suggestion[] {
  return models.value.map((model) => ({
    icon: "pulse",
    label: model.id,
    hint: priceOf(model),
    apply: () => change({ model: model.id }),
  }));
}

function documentSuggestions(
  documents: DocumentInfo[],
  options: Options,
  change: (changes: Partial<Options>) => void,
): Suggestion[] {
  return documents
    .filter((one) => one.status === "ready")
    .map((one) => ({
      icon: "document",
      label: one.title,
      hint: t.documents.chunks(one.chunks ?? 0),
      apply: () =>
        change({ only: [...options.only.filter((other) => other.id !== one.id), { id: one.id, title: one.title }] }),
    }));
}

function Suggestions({ items, selected, choose }: SuggestionList & { choose: (index: number) => void }) {
  return (
    <div class="suggestions" role="listbox" aria-label={t.commands.label}>
      {items.map((item, index) => (
        <button
          key={`${index}-${item.label}`}
          type="button"
          role="option"
          tabIndex={-1}
          aria-selected={index === selected}
          class="suggestion"
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => choose(index)}
        >
          <Icon name={item.icon} size={16} />
          <span dir="auto">{item.label}</span>
          <small>{item.hint}</small>
        </button>
      ))}
    </div>
  );
}
