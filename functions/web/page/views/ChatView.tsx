/** A conversation: its messages, the answer as it is written, and the field. */

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Conversation, Message, Source } from "../api/types.ts";
import { Answer, UserMessage } from "../components/Answer.tsx";
import { Composer } from "../components/Composer.tsx";
import { Button, Empty, IconButton, Spinner } from "../components/controls.tsx";
import { Mark } from "../components/Icon.tsx";
import { openDialog } from "../components/overlays.tsx";
import { SourceDialog } from "../components/SourceDialog.tsx";
import { assistants, chosen, chosenId, loadAssistants } from "../state/assistants.ts";
import { type Chat, chatOf, memoriesOf } from "../state/chat.ts";
import { changeConversation, conversations } from "../state/conversations.ts";
import { report } from "../state/notices.ts";
import { draftKey, remember } from "../state/preferences.ts";
import { href, navigate } from "../state/router.ts";
import { user } from "../state/session.ts";
import { hasEnded, partsOf, type Turn } from "../state/turn.ts";
import { t } from "../text/index.ts";
import { Topbar } from "./Topbar.tsx";

const NEAR_END_PX = 80;

export function ChatView({ id }: { id: string | null }) {
  const chat = chatOf(id);
  useEffect(() => {
    chat.open().catch(report);
  }, [chat]);
  const conversation = conversations.value.find((one) => one.id === id);
  const title = conversation?.title;
  useEffect(() => {
    if (assistants.value === null) loadAssistants().catch(report);
  }, []);
  useEffect(() => {
    document.title = title ? `${title} · ${t.brand}` : t.brand;
  }, [title]);
  if (chat.isMissing.value) {
    return (
      <>
        <Topbar title={t.chat.title} />
        <Empty icon="search" title={t.chat.notFound} />
      </>
    );
  }
  const isEmpty = id === null && chat.turn.value === null;
  return (
    <div class={isEmpty ? "chat is-empty" : "chat"}>
      <Topbar title={isEmpty ? "" : (title ?? t.sidebar.untitled)}>
        {conversation?.assistant_id && <AssistantChip conversation={conversation} />}
      </Topbar>
      {isEmpty ? <Welcome chat={chat} /> : <Messages chat={chat} />}
      <Composer key={id ?? "new"} chat={chat} />
    </div>
  );
}

/** The assistant of a conversation, with the way out of it. */
function AssistantChip({ conversation }: { conversation: Conversation }) {
  const assistant = assistants.value?.find((one) => one.id === conversation.assistant_id);
  const leave = () => changeConversation(conversation.id, { assistant_id: null }).catch(report);
  if (assistants.value === null) return null;
  return (
    <span class="assistant-chip">
      <span dir="auto">{assistant ? `${assistant.picture ?? ""} ${assistant.name}`.trim() : t.assistants.gone}</span>
      <IconButton icon="close" label={t.assistants.leave} size={14} onClick={leave} />
    </span>
  );
}

function AssistantPicker() {
  if (!assistants.value?.length) return null;
  return (
    <div class="field assistant-picker">
      <label for="assistant">{t.assistants.choose}</label>
      <select
        id="assistant"
        value={chosenId.value ?? ""}
        onChange={(event) => (chosenId.value = event.currentTarget.value || null)}
      >
        <option value="">{t.assistants.noAssistant}</option>
        {assistants.value.map((one) => (
          <option key={one.id} value={one.id}>
            {`${one.picture ?? ""} ${one.name}`.trim()}
          </option>
        ))}
      </select>
    </div>
  );
}

function Welcome({ chat }: { chat: Chat }) {
  const start = (text: string) =>
    chat.ask({ text, images: [], model: null, tools: true, documents: false, incognito: false }).catch(report);
  const assistant = chosen.value;
  const starters = assistant ? assistant.starters.map((text) => ({ title: "", text })) : t.chat.starters;
  return (
    <div class="welcome">
      {assistant?.picture ? (
        <span class="welcome-picture" aria-hidden="true">
          {assistant.picture}
        </span>
      ) : (
        <Mark size={44} />
      )}
      <h1 dir="auto">{assistant?.name ?? t.chat.greeting(user.value?.display_name ?? null)}</h1>
      <p class="hint" dir="auto">
        {assistant ? assistant.description : t.chat.greetingLead}
      </p>
      <AssistantPicker />
      <div class="starters">
        {starters.map((starter) => (
          <button key={starter.text} type="button" class="starter" onClick={() => start(starter.text)}>
            {starter.title && <strong>{starter.title}</strong>}
            <span dir="auto">{starter.text}</span>
          </button>
        ))}
      </div>
    </div>
  );
}

function Messages({ chat }: { chat: Chat }) {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const isPinned = useRef(true);
  const [isAway, setAway] = useState(false);
  const groups = useMemo(() => groupVariants(chat.messages.value), [chat.messages.value]);

  // The view stays at the end while the text grows, until the user scrolls up.
  useLayoutEffect(() => {
    const [outer, inner] = [scroller.current, content.current];
    if (!outer || !inner) return;
    const stick = () => {
      if (isPinned.current) outer.scrollTop = outer.scrollHeight;
    };
    const observer = new ResizeObserver(stick);
    observer.observe(inner);
    observer.observe(outer);
    stick();
    return () => observer.disconnect();
  }, [chat]);
  const onScroll = () => {
    const outer = scroller.current;
    if (!outer) return;
    const distance = outer.scrollHeight - outer.scrollTop - outer.clientHeight;
    isPinned.current = distance < NEAR_END_PX;
    setAway(distance > NEAR_END_PX * 4);
  };
  const toEnd = () => {
    isPinned.current = true;
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight, behavior: "smooth" });
  };
  // A new question always shows its answer.
  const pending = chat.pending.value;
  useEffect(() => {
    if (pending) toEnd();
  }, [pending]);
  const loadOlder = async () => {
    const outer = scroller.current;
    const before = outer ? outer.scrollHeight - outer.scrollTop : 0;
    await chat.loadOlder().catch(report);
    requestAnimationFrame(() => {
      if (outer) outer.scrollTop = outer.scrollHeight - before;
    });
  };
  const turn = chat.turn.value;
  const isShown = (message: Message) =>
    !(chat.isRegenerating && message === groups.at(-1)?.at(-1) && message.role === "assistant");
  const pendingIsStored = chat.messages.value.some((message) => message.id === turn?.userMessageId);
  return (
    <div class="messages-frame">
      <div class="messages" ref={scroller} onScroll={onScroll} role="region" tabIndex={0} aria-label={t.chat.label}>
        <div class="messages-inner" ref={content}>
          {chat.older.value && (
            <Button kind="quiet" onClick={loadOlder}>
              {t.chat.loadOlder}
            </Button>
          )}
          {chat.isLoading.value && <Spinner label={t.common.loading} />}
          {groups.map((variants, index) => (
            <StoredMessage
              key={`${variants[0]?.seq}-${variants[0]?.role}`}
              chat={chat}
              variants={variants.filter(isShown)}
              isLast={index === groups.length - 1}
            />
          ))}
          {pending && !pendingIsStored && <UserMessage text={pending.text} images={pending.images} />}
          {turn && <Answer turn={turn} chat={chat} onSource={showSource} />}
          {chat.isReconnecting.value && turn && !hasEnded(turn) && <p class="hint">{t.chat.reconnecting}</p>}
        </div>
      </div>
      {isAway && <IconButton icon="down" label={t.chat.toBottom} class="to-bottom" onClick={toEnd} />}
    </div>
  );
}

interface StoredMessageProps {
  chat: Chat;
  variants: Message[];
  isLast: boolean;
}

function StoredMessage({ chat, variants, isLast }: StoredMessageProps) {
  const active = Math.max(
    0,
    variants.findIndex((message) => message.is_active),
  );
  const [chosen, setChosen] = useState<number | null>(null);
  const index = Math.min(chosen ?? active, variants.length - 1);
  useEffect(() => setChosen(null), [variants.length]);
  const message = variants[index];
  if (!message) return null;
  const fork = async () => {
    const copy = await chat.forkAt(message.seq);
    navigate(href.chat(copy.id.value));
  };
  if (message.role === "user") {
    const images = message.parts.flatMap((part) => (part.type === "image" ? [part.id] : []));
    return (
      <UserMessage
        text={message.text}
        images={images}
        onEdit={(text) => editAsFork(chat, message, text)}
        onFork={() => fork().catch(report)}
      />
    );
  }
  return (
    <Answer
      turn={turnOf(message)}
      chat={chat}
      onSource={showSource}
      variants={{ index, count: variants.length, isActive: index === active, choose: setChosen }}
      onRegenerate={isLast ? () => chat.regenerate(null, false).catch(report) : undefined}
      onFork={() => fork().catch(report)}
    />
  );
}

/** Ask the edited question in a branch that ends before it. */
async function editAsFork(chat: Chat, message: Message, text: string): Promise<void> {
  const branch = await chat.forkBefore(message.seq);
  remember(draftKey(branch.id.value), null);
  navigate(href.chat(branch.id.value));
  await branch.open();
  const images = message.parts.flatMap((part) => (part.type === "image" ? [part.id] : []));
  await branch.ask({ text, images, model: null, tools: true, documents: false, incognito: false });
}

/** Return a stored answer in the form of a turn that has ended. */
function turnOf(message: Message): Turn {
  const { parts, sources } = partsOf(message.parts, message.text);
  const status = message.status === "stopped" || message.status === "interrupted" ? message.status : "completed";
  return {
    id: null,
    conversationId: null,
    userMessageId: null,
    messageId: message.id,
    model: message.model,
    status,
    parts,
    sources,
    memories: memoriesOf.get(message.id) ?? [],
    lastEvent: 0,
    usage: message.usage,
    totalMs: message.total_ms,
    reason: null,
    problem: null,
    feedback: message.feedback,
  };
}

/** Group messages by their position; each group holds the variants in order. */
function groupVariants(messages: Message[]): Message[][] {
  const groups: Message[][] = [];
  for (const message of messages) {
    const last = groups.at(-1);
    if (last?.[0]?.seq === message.seq) last.push(message);
    else groups.push([message]);
  }
  for (const group of groups) group.sort((one, other) => one.variant - other.variant);
  return groups;
}

function showSource(source: Source): void {
  openDialog((close) => <SourceDialog source={source} onClose={close} />);
}
