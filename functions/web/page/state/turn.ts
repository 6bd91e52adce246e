/** A turn while it runs: what its events say so far. Pure functions, so that a replay gives the same result as the stream. */

import type {
  Feedback,
  Memory,
  MessagePart,
  Problem,
  Source,
  ToolCall,
  TurnEvent,
  Usage,
  UserQuestion,
} from "../api/types.ts";

export interface ToolRun extends ToolCall {
  type: "tool";
  state: "running" | "waiting" | "asking" | "done" | "failed";
  /** The form that the user has to answer. */
  question: UserQuestion | null;
  result: string | null;
  elapsedMs: number | null;
}

/** A message of the user that the model read while it wrote the answer. */
export interface Interjection {
  type: "user_message";
  id: string;
  text: string;
}

export type AnswerPart = { type: "text"; text: string } | ToolRun | Interjection;

export type TurnStatus = "starting" | "running" | "waiting" | "completed" | "stopped" | "interrupted" | "failed";

export interface Turn {
  id: string | null;
  conversationId: string | null;
  userMessageId: string | null;
  messageId: string | null;
  model: string | null;
  status: TurnStatus;
  parts: AnswerPart[];
  sources: Source[];
  memories: Memory[];
  lastEvent: number;
  usage: Usage | null;
  totalMs: number | null;
  reason: string | null;
  problem: Problem | null;
  feedback: Feedback | null;
}

export const NEW_TURN: Turn = {
  id: null,
  conversationId: null,
  userMessageId: null,
  messageId: null,
  model: null,
  status: "starting",
  parts: [],
  sources: [],
  memories: [],
  feedback: null,
  lastEvent: 0,
  usage: null,
  totalMs: null,
  reason: null,
  problem: null,
};

const ENDED = new Set<TurnStatus>(["completed", "stopped", "interrupted", "failed"]);

export function hasEnded(turn: Turn): boolean {
  return ENDED.has(turn.status);
}

/** Return the turn after event `number`. An event that was already applied changes nothing. */
export function applyEvent(turn: Turn, number: number, event: TurnEvent): Turn {
  const isTerminal = event.name.startsWith("turn.") && event.name !== "turn.started";
  // The server repeats a turn's last event for every reader; its effect is the same each time.
  if (number <= turn.lastEvent && !isTerminal) return turn;
  const next = { ...turn, lastEvent: Math.max(number, turn.lastEvent) };
  switch (event.name) {
    case "turn.started":
      next.id = event.data.turn_id;
      next.conversationId = event.data.conversation_id;
      next.userMessageId = event.data.user_message_id;
      next.model = event.data.model;
      next.status = "running";
      return next;
    case "source":
      next.sources = [...turn.sources, event.data];
      return next;
    case "memory":
      next.memories = [...turn.memories, event.data];
      return next;
    case "text.delta":
      next.status = "running";
      next.parts = withText(turn.parts, event.data.text);
      return next;
    case "tool.call":
      next.status = "running";
      next.parts = withTool(turn.parts, event.data, { state: "running" });
      return next;
    case "tool.approval":
      next.parts = withTool(turn.parts, event.data, { state: "waiting" });
      return next;
    case "tool.question": {
      const { call_id, name } = event.data;
      next.parts = withTool(turn.parts, { call_id, name }, { state: "asking", question: event.data });
      return next;
    }
    case "tool.result":
      next.status = "running";
      next.parts = withTool(turn.parts, event.data, {
        state: event.data.ok ? "done" : "failed",
        result: event.data.content,
        elapsedMs: event.data.elapsed_ms,
      });
      return next;
    case "message.read":
      next.parts = [...turn.parts, { type: "user_message", ...event.data }];
      return next;
    case "turn.waiting":
      next.status = "waiting";
      return next;
    case "turn.completed":
      next.status = "completed";
      next.messageId = event.data.message_id;
      next.usage = event.data.usage;
      next.model = event.data.model;
      next.totalMs = event.data.timings.total_ms;
      next.reason = event.data.finish_reason;
      return next;
    case "turn.stopped":
    case "turn.interrupted":
      next.status = event.name === "turn.stopped" ? "stopped" : "interrupted";
      next.messageId = event.data.message_id;
      next.usage = event.data.usage;
      next.reason = event.data.reason;
      return next;
    case "turn.failed":
      next.status = "failed";
      next.problem = event.data;
      return next;
    default:
      return next;
  }
}

function withText(parts: AnswerPart[], text: string): AnswerPart[] {
  const last = parts.at(-1);
  if (last?.type === "text") return [...parts.slice(0, -1), { type: "text", text: last.text + text }];
  return [...parts, { type: "text", text }];
}

function withTool(
  parts: AnswerPart[],
  call: Partial<ToolCall> & { call_id: string },
  change: Partial<ToolRun>,
): AnswerPart[] {
  const index = parts.findIndex((part) => part.type === "tool" && part.call_id === call.call_id);
  const known = parts[index] as ToolRun | undefined;
  const run: ToolRun = {
    type: "tool",
    call_id: call.call_id,
    name: call.name ?? known?.name ?? "",
    arguments: call.arguments ?? known?.arguments ?? {},
    state: "running",
    question: known?.question ?? null,
    result: known?.result ?? null,
    elapsedMs: known?.elapsedMs ?? null,
    ...change,
  };
  return index < 0 ? [...parts, run] : parts.map((part, at) => (at === index ? run : part));
}

/** Return a stored answer's parts in the form of a turn's: each call with its result. */
export function partsOf(stored: MessagePart[], text: string): { parts: AnswerPart[]; sources: Source[] } {
  const points = stored.some((part) => part.type === "text" && "start" in part) ? Array.from(text) : [];
  let parts: AnswerPart[] = [];
  const sources: Source[] = [];
  for (const part of stored) {
    if (part.type === "text") {
      parts = withText(parts, "text" in part ? part.text : points.slice(part.start, part.end).join(""));
    } else if (part.type === "tool_call") {
      parts = withTool(parts, part, { state: "failed" });
    } else if (part.type === "tool_result") {
      parts = withTool(parts, part, { state: part.ok ? "done" : "failed", result: part.content });
    } else if (part.type === "user_message") {
      parts = [...parts, part];
    } else if (part.type === "source") {
      sources.push(part);
    }
  }
  return { parts, sources };
}

/** Return the answer's text, without its tool calls. */
export function textOf(parts: AnswerPart[]): string {
  return parts
    .flatMap((part) => (part.type === "text" ? [part.text.trim()] : []))
    .filter(Boolean)
    .join("\n\n");
}
