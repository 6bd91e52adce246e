/** Messages: the user's questions, and answers with their tool calls, sources and figures. */

import { memo } from "preact/compat";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Source } from "../api/types.ts";
import type { Chat } from "../state/chat.ts";
import { notify, report } from "../state/notices.ts";
import { api } from "../state/session.ts";
import { type AnswerPart, hasEnded, type ToolRun, type Turn, textOf } from "../state/turn.ts";
import { dollars, explainProblem } from "../text/format.ts";
import { t } from "../text/index.ts";
import { Button, IconButton } from "./controls.tsx";
import { FeedbackButtons } from "./FeedbackButtons.tsx";
import { Icon } from "./Icon.tsx";
import { Markdown } from "./Markdown.tsx";
import { QuestionForm } from "./QuestionForm.tsx";
import { Approval, ToolLine } from "./ToolLine.tsx";

interface UserMessageProps {
  text: string;
  images?: string[];
  onEdit?: (text: string) => Promise<void>;
  onFork?: () => void;
}

export function UserMessage({ text, images = [], onEdit, onFork }: UserMessageProps) {
  const [isEditing, setEditing] = useState(false);
  if (isEditing && onEdit) return <Editor text={text} onSave={onEdit} onClose={() => setEditing(false)} />;
  return (
    <article class="message is-user" aria-label={t.chat.yourMessage}>
      {images.length > 0 && (
        <div class="images">
          {images.map((image) => (
            <Picture key={image} image={image} />
          ))}
        </div>
      )}
      <div class="bubble" dir="auto">
        {text}
      </div>
      {(onEdit || onFork) && (
        <div class="message-actions">
          <IconButton icon="copy" label={t.common.copy} onClick={() => copyText(text)} />
          {onEdit && <IconButton icon="edit" label={t.chat.edit} onClick={() => setEditing(true)} />}
          {onFork && <IconButton icon="fork" label={t.chat.fork} onClick={onFork} />}
        </div>
      )}
    </article>
  );
}

/** An image of a message: new ones are data URLs, stored ones are fetched with the user's token. */
function Picture({ image }: { image: string }) {
  const [url, setUrl] = useState(image.startsWith("data:") ? image : null);
  useEffect(() => {
    if (image.startsWith("data:")) return;
    let made: string | null = null;
    api
      .send("GET", `chat/images/${image}/content`)
      .then((response) => response.blob())
      .then((blob) => {
        made = URL.createObjectURL(blob);
        setUrl(made);
      }, report);
    return () => {
      if (made) URL.revokeObjectURL(made);
    };
  }, [image]);
  return url ? <img src={url} alt="" /> : <span class="image-placeholder" />;
}

function Editor({
  text,
  onSave,
  onClose,
}: {
  text: string;
  onSave: (text: string) => Promise<void>;
  onClose: () => void;
}) {
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  const save = () => {
    const edited = field.current?.value.trim();
    if (edited) onSave(edited).catch(report);
    onClose();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") onClose();
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      save();
    }
  };
  return (
    <div class="message is-user">
      <div class="editor">
        <textarea
          ref={field}
          aria-label={t.chat.edit}
          defaultValue={text}
          rows={Math.min(10, text.split("\n").length + 1)}
          onKeyDown={onKeyDown}
          dir="auto"
        />
        <p class="hint">{t.chat.editHint}</p>
        <div class="form-actions">
          <Button kind="primary" onClick={save}>
            {t.chat.editSend}
          </Button>
          <Button kind="quiet" onClick={onClose}>
            {t.common.cancel}
          </Button>
        </div>
      </div>
    </div>
  );
}

interface Variants {
  index: number;
  count: number;
  isActive: boolean;
  choose: (index: number) => void;
}

interface AnswerProps {
  turn: Turn;
  chat: Chat;
  onSource: (source: Source) => void;
  variants?: Variants;
  onRegenerate?: (() => void) | undefined;
  onFork?: () => void;
}

export function Answer({ turn, chat, onSource, variants, onRegenerate, onFork }: AnswerProps) {
  const isOpen = !hasEnded(turn);
  const isSilent = isOpen && turn.status !== "waiting" && !isWriting(turn.parts);
  return (
    <article
      class={isOpen ? "message is-answer is-open" : "message is-answer"}
      aria-label={t.chat.answerOf(turn.model ?? t.brand)}
      aria-busy={isOpen}
    >
      {turn.memories.length > 0 && <Memories turn={turn} />}
      {turn.parts.map((part, index) =>
        part.type === "user_message" ? (
          <UserMessage key={part.id} text={part.text} />
        ) : part.type === "text" ? (
          <Markdown
            key={index}
            text={part.text}
            isGrowing={isOpen && index === turn.parts.length - 1}
            sources={turn.sources}
            onSource={onSource}
          />
        ) : (
          <Tool key={part.call_id} run={part} chat={chat} isOpen={isOpen} />
        ),
      )}
      {isSilent && (
        <p class="thinking">
          <span class="dots" aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
          <span class="visually-hidden">{t.chat.thinking}</span>
        </p>
      )}
      <Ending turn={turn} chat={chat} />
      {!isOpen && turn.sources.length > 0 && <Sources turn={turn} onSource={onSource} />}
      {!isOpen && turn.status !== "failed" && (
        <AnswerFoot turn={turn} variants={variants} onRegenerate={onRegenerate} onFork={onFork} />
      )}
    </article>
  );
}

/** Whether the answer's newest part is text that grows, which shows that the model works. */
function isWriting(parts: AnswerPart[]): boolean {
  const last = parts.at(-1);
  return last?.type === "text" || (last?.type === "tool" && last.state === "running");
}

function Tool({ run, chat, isOpen }: { run: ToolRun; chat: Chat; isOpen: boolean }) {
  if (run.state === "waiting" && isOpen) return <Approval run={run} chat={chat} />;
  if (run.state === "asking" && run.question && isOpen) return <QuestionForm question={run.question} chat={chat} />;
  return <ToolLine run={run} />;
}

function Ending({ turn, chat }: { turn: Turn; chat: Chat }) {
  if (turn.status === "stopped") return <p class="ending">{t.chat.stopped}</p>;
  if (turn.status === "interrupted") return <p class="ending">{t.chat.interrupted}</p>;
  if (turn.status !== "failed" || !turn.problem) return null;
  return (
    <div class="form-error" role="alert">
      <Icon name="warning" size={18} />
      <span>{explainProblem(turn.problem)}</span>
      <Button kind="quiet" icon="refresh" onClick={() => chat.regenerate(null, false).catch(report)}>
        {t.common.retry}
      </Button>
    </div>
  );
}

function Memories({ turn }: { turn: Turn }) {
  return (
    <details class="memories">
      <summary>
        <Icon name="brain" size={16} />
        {t.chat.memories(turn.memories.length)}
      </summary>
      <ul>
        {turn.memories.map((memory) => (
          <li key={memory.id} dir="auto">
            <small>{memory.kind === "fact" ? t.chat.memoryFact : t.chat.memoryPassage}</small>
            {memory.text}
          </li>
        ))}
      </ul>
    </details>
  );
}

function Sources({ turn, onSource }: { turn: Turn; onSource: (source: Source) => void }) {
  const cited = turn.sources.filter((source) => textOf(turn.parts).includes(`[${source.number}]`));
  if (cited.length === 0) return null;
  return (
    <div class="sources" role="group" aria-label={t.chat.sources}>
      {cited.map((source) => (
        <button key={source.number} type="button" class="source" onClick={() => onSource(source)}>
          <span class="citation" aria-hidden="true">
            {source.number}
          </span>
          <span dir="auto">{source.title}</span>
          {"url" in source ? (
            <small>{hostOf(source.url)}</small>
          ) : (
            source.page !== null && <small>{t.chat.page(source.page)}</small>
          )}
        </button>
      ))}
    </div>
  );
}

function hostOf(url: string): string {
  return URL.parse(url)?.hostname.replace(/^www\./, "") ?? "";
}

interface AnswerFootProps {
  turn: Turn;
  variants: Variants | undefined;
  onRegenerate: (() => void) | undefined;
  onFork: (() => void) | undefined;
}

const AnswerFoot = memo(function AnswerFoot({ turn, variants, onRegenerate, onFork }: AnswerFootProps) {
  const root = useRef<HTMLDivElement>(null);
  const text = textOf(turn.parts);
  return (
    <div class="message-actions" ref={root}>
      {variants && variants.count > 1 && <VariantPicker {...variants} />}
      <IconButton icon="copy" label={t.chat.copyMarkdown} onClick={() => copyText(text)} />
      <IconButton
        icon="document"
        label={t.chat.copyRich}
        onClick={() => copyRich(root.current?.closest(".message") ?? null, text)}
      />
      {onRegenerate && <IconButton icon="refresh" label={t.chat.regenerate} onClick={onRegenerate} />}
      {onFork && <IconButton icon="fork" label={t.chat.fork} onClick={onFork} />}
      {turn.messageId && <FeedbackButtons key={turn.messageId} messageId={turn.messageId} given={turn.feedback} />}
      <span class="figures">
        {turn.model && <span>{turn.model}</span>}
        {turn.usage && (
          <span>{t.chat.usage(turn.usage.input_tokens, turn.usage.output_tokens, dollars(turn.usage.cost_usd))}</span>
        )}
        {turn.totalMs !== null && <span>{t.chat.seconds((turn.totalMs / 1000).toFixed(1))}</span>}
      </span>
      {variants && !variants.isActive && <p class="ending">{t.chat.oldVariant}</p>}
    </div>
  );
});

function VariantPicker({ index, count, choose }: Variants) {
  return (
    <span class="variants">
      <IconButton icon="left" label={t.chat.previousVariant} disabled={index === 0} onClick={() => choose(index - 1)} />
      <span>{t.chat.variant(index + 1, count)}</span>
      <IconButton
        icon="right"
        label={t.chat.nextVariant}
        disabled={index === count - 1}
        onClick={() => choose(index + 1)}
      />
    </span>
  );
}

async function copyText(text: string): Promise<void> {
  await navigator.clipboard.writeText(text).then(() => notify(t.common.copied), report);
}

/** Copy the answer as it looks, for a mail or a document, and as Markdown for everything else. */
async function copyRich(message: Element | null, text: string): Promise<void> {
  const blocks = [...(message?.querySelectorAll(".markdown > .block") ?? [])].map(
    (block) => block.cloneNode(true) as HTMLElement,
  );
  for (const block of blocks) for (const head of block.querySelectorAll(".code-head")) head.remove();
  const html = blocks.map((block) => block.innerHTML).join("\n");
  const item = new ClipboardItem({
    "text/html": new Blob([html], { type: "text/html" }),
    "text/plain": new Blob([text], { type: "text/plain" }),
  });
  await navigator.clipboard.write([item]).then(() => notify(t.common.copied), report);
}
