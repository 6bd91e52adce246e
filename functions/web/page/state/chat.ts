/** An open conversation: its messages, the running turn, and the questions that wait for it. */

import { batch, signal } from "@preact/signals";
import { ApiError, Offline } from "../api/errors.ts";
import { readEvents } from "../api/events.ts";
import type { Conversation, FormAnswer, Memory, Message, Page, TurnEvent, UserQuestion } from "../api/types.ts";
import { t } from "../text/index.ts";
import { assistants, chosenId } from "./assistants.ts";
import { awaitTitle, conversations, filter, NEW_CONVERSATION, touch } from "./conversations.ts";
import { announce, notify, report } from "./notices.ts";
import { draftKey, recall, remember } from "./preferences.ts";
import { href, navigate, route } from "./router.ts";
import { api, channel, isOffline, online, persist, type TabMessage } from "./session.ts";
import { applyEvent, hasEnded, NEW_TURN, type Turn } from "./turn.ts";

const PAGE = 60;
const BACKGROUND_FRAME_MS = 150;
const MAX_STEERING = 8000;

export interface Question {
  text: string;
  images: string[];
  model: string | null;
  tools: boolean;
  documents: boolean | string[];
  incognito: boolean;
  /** The id under which the question was sent to the model that still writes. If the model does not read it, it is asked next. */
  steering?: string;
}

/** Memories that the answers seen complete by this page have used; the API does not keep them with the message. */
export const memoriesOf = new Map<string, Memory[]>();

export class Chat {
  readonly id = signal<string | null>(null);
  readonly messages = signal<Message[]>([]);
  readonly turn = signal<Turn | null>(null);
  /** The question of the running turn, shown until the stored message replaces it. */
  readonly pending = signal<Question | null>(null);
  readonly queue = signal<Question[]>([]);
  readonly isLoading = signal(false);
  readonly isMissing = signal(false);
  readonly isReconnecting = signal(false);
  readonly older = signal<string | null>(null);
  #isRegenerating = false;
  /** The conversation made for the first question in a project, kept for the next attempt if the question is refused. */
  #prepared: { key: string; id: string } | null = null;
  #unanswered: { body: string; key: string } | null = null;
  #reading: AbortController | null = null;
  /** Pending from the end of a turn until its stored messages are shown. */
  #ending: Promise<void> | null = null;
  #endedTurn: string | null = null;
  #requestedList = 0;
  #shownList = 0;

  constructor(id: string | null) {
    this.id.value = id;
  }

  get isBusy(): boolean {
    const turn = this.turn.value;
    return turn !== null && !hasEnded(turn) && turn.status !== "waiting";
  }

  /** Load the newest messages, and follow the open turn, if there is one. */
  async open(): Promise<void> {
    const id = this.id.value;
    if (id === null) return;
    this.isLoading.value = this.messages.value.length === 0;
    try {
      const [conversation] = await Promise.all([
        persist(() => api.get<Conversation>(`conversations/${id}`)),
        this.#loadNewest(id).then(batch),
      ]);
      if (!conversations.value.some((one) => one.id === id)) touch(conversation);
      this.isLoading.value = false;
      const openTurn = conversation.open_turn_id;
      const isKnown = openTurn === this.turn.value?.id || openTurn === this.#endedTurn;
      if (openTurn && !isKnown && !this.isBusy) await this.follow(openTurn);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) this.isMissing.value = true;
      else report(error);
    } finally {
      this.isLoading.value = false;
    }
  }

  /** Load the newest messages. Return a function that shows them, unless a list requested later is already shown. */
  async #loadNewest(id: string): Promise<() => void> {
    const number = ++this.#requestedList;
    const query = { order: "desc", variants: true, limit: PAGE };
    const page = await persist(() => api.get<Page<Message>>(`conversations/${id}/messages`, query));
    return () => {
      // The response to an earlier request may arrive later, and lacks the messages stored between the two.
      if (number < this.#shownList) return;
      this.#shownList = number;
      this.messages.value = page.items.reverse();
      this.older.value = page.next_cursor;
    };
  }

  async loadOlder(): Promise<void> {
    const [id, cursor] = [this.id.value, this.older.value];
    if (id === null || cursor === null) return;
    const query = { order: "desc", variants: true, limit: PAGE, cursor };
    const page = await api.get<Page<Message>>(`conversations/${id}/messages`, query);
    // The newest messages were loaded again meanwhile, so this page no longer joins the ones shown.
    if (this.older.value !== cursor) return;
    batch(() => {
      this.messages.value = [...page.items.reverse(), ...this.messages.value];
      this.older.value = page.next_cursor;
    });
  }

  /** Send a question, or queue it while an answer is written or being replaced by its stored message. */
  async ask(question: Question): Promise<void> {
    if (this.isBusy || this.#ending) {
      this.queue.value = [...this.queue.value, this.#steered(question, this.turn.value)];
      return;
    }
    this.#isRegenerating = false;
    const body = async () => ({
      message: question.text,
      conversation_id: this.id.value ?? (await this.#conversationInProject(question.incognito)),
      model: question.model,
      tools: question.tools,
      documents: question.documents,
      images: question.images,
      incognito: question.incognito && filter.value.project_id === undefined,
      questions: true,
      assistant_id: this.id.value === null ? chosenId.value : null,
      stream: true,
    });
    await this.#take("chat", body, question);
  }

  /** A new conversation of the project whose conversations are listed, or null if a filter by project is not in use. */
  async #conversationInProject(incognito: boolean): Promise<string | null> {
    const projectId = filter.value.project_id;
    if (projectId === undefined) return null;
    const key = `${projectId} ${incognito}`;
    if (this.#prepared?.key !== key) {
      const made = await api.post<Conversation>("conversations", { project_id: projectId, incognito });
      this.#prepared = { key, id: made.id };
      touch(made);
    }
    return this.#prepared.id;
  }

  /** Send a question to the model that still writes, and mark it; or return it as it is, if the model cannot read it before the answer ends. */
  #steered(question: Question, turn: Turn | null): Question {
    if (!this.isBusy || !turn?.id || question.images.length > 0 || question.text.length > MAX_STEERING) return question;
    const steering = crypto.randomUUID();
    // A refusal changes nothing: the question stays in the queue, and is asked after the answer.
    api.post(`chat/turns/${turn.id}/messages`, { key: steering, message: question.text }).catch(() => undefined);
    return { ...question, steering };
  }

  /** Answer the last question again; the present answer becomes a variant. */
  async regenerate(model: string | null, documents: boolean | string[]): Promise<void> {
    await this.#ending;
    if (this.isBusy || this.id.value === null) return;
    this.#isRegenerating = true;
    const body = { conversation_id: this.id.value, model, documents, questions: true, stream: true };
    await this.#take("chat/regenerate", async () => body, null);
  }

  /** Whether the last stored answer is being replaced, so that it need not be shown. */
  get isRegenerating(): boolean {
    return this.#isRegenerating && this.turn.value !== null;
  }

  async #take(path: string, makeBody: () => Promise<object>, question: Question | null): Promise<void> {
    batch(() => {
      this.turn.value = NEW_TURN;
      this.pending.value = question;
    });
    try {
      const body = await makeBody();
      const idempotencyKey = this.#keyOf(JSON.stringify(body));
      await this.#read(() => api.send("POST", path, { body, idempotencyKey, signal: this.#signal() }));
      this.#unanswered = null;
    } catch (error) {
      if (!(error instanceof Offline)) this.#unanswered = null;
      this.#refused(error, question);
    }
  }

  /** Return the key of the request. The same request again, after a broken connection, must not be answered twice. */
  #keyOf(body: string): string {
    if (this.#unanswered?.body !== body) this.#unanswered = { body, key: crypto.randomUUID() };
    return this.#unanswered.key;
  }

  /** The turn did not begin. Give the question back to the field. */
  #refused(error: unknown, question: Question | null): void {
    batch(() => {
      this.turn.value = null;
      this.pending.value = null;
    });
    if (question) this.returned.value = question;
    if (error instanceof Offline) {
      isOffline.value = true;
      online().then(() => persist(() => api.get("health").catch(() => undefined)), report);
      notify(t.errors.offline, "error");
    } else report(error);
  }

  /** A question that could not be sent. The field takes it back. */
  readonly returned = signal<Question | null>(null);

  /** Read a turn's events from its beginning: after a reload, or in another tab. */
  async follow(turnId: string): Promise<void> {
    this.#isRegenerating = false;
    this.turn.value = { ...NEW_TURN, id: turnId };
    try {
      await this.#read(() => this.#events(turnId, 0));
    } catch (error) {
      this.turn.value = null;
      if (!(error instanceof ApiError && error.status === 404)) report(error);
    }
  }

  #events(turnId: string, after: number): Promise<Response> {
    return api.send("GET", `chat/turns/${turnId}/events`, { query: { after }, signal: this.#signal() });
  }

  #signal(): AbortSignal {
    this.#reading ??= new AbortController();
    return this.#reading.signal;
  }

  /** Read events until the turn ends or waits. If the connection breaks, read on from the last event. */
  async #read(start: () => Promise<Response>): Promise<void> {
    this.#reading?.abort();
    this.#reading = new AbortController();
    const { signal } = this.#reading;
    let request = start;
    for (;;) {
      try {
        await this.#consume(await request(), signal);
        if (signal.aborted) return;
      } catch (error) {
        if (signal.aborted) return;
        const turn = this.turn.value;
        // Before its first event nothing says whether the turn began; the request can be repeated with its key.
        if (error instanceof ApiError || (turn?.id ?? null) === null) throw error;
        isOffline.value = !navigator.onLine;
      }
      const turn = this.turn.value;
      if (turn === null || turn.id === null) throw new Offline("the stream ended before its first event");
      if (hasEnded(turn)) return this.#ended(turn);
      if (turn.status === "waiting") return announce(t.chat.waiting);
      this.isReconnecting.value = true;
      await online();
      if (signal.aborted) return;
      const { id, lastEvent } = turn;
      request = () => this.#events(id as string, lastEvent);
    }
  }

  async #consume(response: Response, signal: AbortSignal): Promise<void> {
    if (response.body === null) return;
    isOffline.value = false;
    this.isReconnecting.value = false;
    const frames = new FrameBuffer((turn) => {
      this.turn.value = turn;
    });
    let turn = this.turn.value ?? NEW_TURN;
    try {
      for await (const { id, name, data } of readEvents(response.body)) {
        if (signal.aborted) return;
        const wasKnown = turn.id !== null && turn.conversationId !== null;
        turn = applyEvent(turn, id, { name, data: JSON.parse(data) } as TurnEvent);
        frames.show(turn);
        if (name === "message.read") this.#wasRead(JSON.parse(data).id);
        if (!wasKnown && turn.conversationId !== null) this.#began(turn);
        if (hasEnded(turn) || turn.status === "waiting") return;
      }
    } catch (error) {
      if (error instanceof TypeError || error instanceof DOMException) throw new Offline(String(error));
      throw error;
    } finally {
      if (!signal.aborted) frames.flush();
    }
  }

  #wasRead(id: string): void {
    this.queue.value = this.queue.value.filter((question) => question.steering !== id);
  }

  #began(turn: Turn): void {
    const id = turn.conversationId as string;
    const isNew = this.id.value === null;
    this.id.value = id;
    // What was asked before the first event could not be sent to a turn without an id.
    this.queue.value = this.queue.value.map((question) =>
      question.steering ? question : this.#steered(question, turn),
    );
    if (turn.id && (this.pending.value !== null || this.#isRegenerating)) {
      channel.postMessage({ kind: "turn", conversationId: id, turnId: turn.id });
    }
    const now = new Date().toISOString();
    const known = conversations.value.find((one) => one.id === id);
    if (isNew) {
      open.set(id, this);
      if (this.pending.value?.incognito) remember(incognitoKey(id), true);
      if (route.value.view === "chat" && route.value.id === null) {
        // The field of the conversation replaces the one of the new chat, with the text typed meanwhile.
        remember(draftKey(id), recall(draftKey(null), null));
        remember(draftKey(null), null);
        navigate(href.chat(id), { replace: true });
      }
      newChat = new Chat(null);
    }
    if (this.pending.value !== null) {
      touch({
        ...(known ?? {
          ...NEW_CONVERSATION,
          id,
          assistant_id: isNew ? chosenId.value : null,
          created_at: now,
        }),
        updated_at: now,
      });
    }
    if (isNew) chosenId.value = null;
  }

  /** Show the stored messages instead of the turn, and send the next question of the queue. */
  async #ended(turn: Turn): Promise<void> {
    const id = this.id.value;
    if (turn.messageId) memoriesOf.set(turn.messageId, turn.memories);
    announce({ stopped: t.chat.stoppedLive, failed: t.chat.failedLive }[turn.status as string] ?? t.chat.ended);
    if (id === null) return;
    // After a stop or a failure, questions queued before it stay in the queue.
    const held = turn.status === "completed" ? [] : this.queue.value;
    this.#endedTurn = turn.id;
    const ending = this.#showStored(id, turn);
    this.#ending = ending;
    await ending;
    if (this.#ending === ending) this.#ending = null;
    const isUntitled = !conversations.value.find((one) => one.id === id)?.title;
    if (isUntitled) awaitTitle(id).catch(report);
    const next = this.queue.value.find((question) => !held.includes(question));
    if (next && !this.isBusy && !this.#ending) {
      this.queue.value = this.queue.value.filter((question) => question !== next);
      await this.ask(next);
    }
  }

  async #showStored(id: string, turn: Turn): Promise<void> {
    const question = this.pending.value;
    const show = await this.#loadNewest(id).catch((error) => () => report(error));
    // Meanwhile, the chat may have begun to follow a turn of another tab.
    batch(() => {
      show();
      if (this.pending.value === question) this.pending.value = null;
      // A failure stays visible below its question until the next turn.
      if (this.turn.value?.id === turn.id && turn.status !== "failed") this.turn.value = null;
    });
  }

  async stop(): Promise<void> {
    const turn = this.turn.value;
    if (turn?.id && !hasEnded(turn)) await api.post(`chat/turns/${turn.id}/stop`).catch(report);
  }

  /** Allow or deny a tool call. The last decision resumes the turn, whose events follow. */
  async decide(callId: string, approve: boolean): Promise<void> {
    const turn = this.turn.value;
    if (!turn?.id) return;
    const turnId = turn.id;
    this.turn.value = { ...turn, parts: turn.parts.map((part) => decided(part, callId, approve)) };
    try {
      const body = { call_id: callId, approve, stream: true };
      const response = await api.send("POST", `chat/turns/${turnId}/approvals`, { body });
      if (response.status === 202) return;
      const current = this.turn.value;
      if (current) this.turn.value = { ...current, status: "running" };
      await this.#read(async () => response);
    } catch (error) {
      report(error);
      await this.follow(turnId);
    }
  }

  /**
   * Answer a question, or decline it by null. The last decision resumes the turn, whose events follow.
   * The promise is fulfilled once the answers are taken, and rejected if they do not fit the form.
   */
  async answer(question: UserQuestion, answers: Record<string, FormAnswer> | null): Promise<void> {
    const turn = this.turn.value;
    if (!turn?.id) return;
    const turnId = turn.id;
    const body = { question_id: question.question_id, answers, stream: true };
    const response = await api.send("POST", `chat/turns/${turnId}/answers`, { body });
    const current = this.turn.value;
    if (current?.id !== turnId) return;
    const parts = current.parts.map((part) => decided(part, question.call_id, true));
    const isResumed = response.status !== 202;
    this.turn.value = { ...current, parts, status: isResumed ? "running" : current.status };
    if (!isResumed) return;
    this.#read(async () => response).catch((error) => {
      report(error);
      return this.follow(turnId);
    });
  }

  /** Stop reading; the turn runs on, and `open` finds it again. */
  close(): void {
    this.#reading?.abort();
    this.#reading = null;
  }

  /** Copy the conversation up to the message before `seq`, for another wording of the question. */
  async forkBefore(seq: number): Promise<Chat> {
    return seq > 1 ? this.forkAt(seq - 1) : this.#empty();
  }

  /** A conversation without messages that is otherwise like this one: in its project, with its assistant, incognito if it is. */
  async #empty(): Promise<Chat> {
    const id = this.id.value as string;
    const { model, system_prompt, project_id, assistant_id } = await api.get<Conversation>(`conversations/${id}`);
    const isKnown = assistants.value?.some((one) => one.id === assistant_id) ?? true;
    const incognito = recall(incognitoKey(id), false);
    const like = { model, system_prompt, project_id, assistant_id: isKnown ? assistant_id : null, incognito };
    const made = await api.post<Conversation>("conversations", like, { idempotencyKey: crypto.randomUUID() });
    if (incognito) remember(incognitoKey(made.id), true);
    touch(made);
    return chatOf(made.id);
  }

  async forkAt(seq: number): Promise<Chat> {
    const fork = await api.post<Conversation>(
      `conversations/${this.id.value}/fork`,
      { upto_seq: seq },
      { idempotencyKey: crypto.randomUUID() },
    );
    touch(fork);
    return chatOf(fork.id);
  }
}

/** Where this browser remembers that a conversation is incognito, which the API does not tell. */
const incognitoKey = (id: string): string => `incognito.${id}`;

function decided(part: Turn["parts"][number], callId: string, approve: boolean): Turn["parts"][number] {
  if (part.type !== "tool" || part.call_id !== callId) return part;
  return { ...part, state: approve ? "running" : "failed" };
}

/** Shows the newest state once a frame: a model can write faster than a screen. */
class FrameBuffer {
  #latest: Turn | null = null;
  #frame = 0;
  #timer = 0;
  readonly #onFrame: (turn: Turn) => void;

  constructor(onFrame: (turn: Turn) => void) {
    this.#onFrame = onFrame;
  }

  show(turn: Turn): void {
    this.#latest = turn;
    this.#frame ||= requestAnimationFrame(() => this.flush());
    // A tab in the background gets no frames.
    this.#timer ||= window.setTimeout(() => this.flush(), BACKGROUND_FRAME_MS);
  }

  flush(): void {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    this.#frame = 0;
    this.#timer = 0;
    if (this.#latest) this.#onFrame(this.#latest);
    this.#latest = null;
  }
}

const open = new Map<string, Chat>();
let newChat = new Chat(null);

/** The chat of a conversation, or the one that has not begun. */
export function chatOf(id: string | null): Chat {
  if (id === null) return newChat;
  const known = open.get(id);
  if (known) return known;
  const chat = new Chat(id);
  open.set(id, chat);
  return chat;
}

export function forgetChats(): void {
  for (const chat of open.values()) chat.close();
  open.clear();
  newChat = new Chat(null);
}

channel.addEventListener("message", (event: MessageEvent<TabMessage>) => {
  if (event.data.kind !== "turn") return;
  const chat = open.get(event.data.conversationId);
  if (chat && chat.turn.value?.id !== event.data.turnId) chat.open().catch(report);
});
