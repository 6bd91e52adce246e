import assert from "node:assert/strict";
import { test } from "node:test";
import type { TurnEvent } from "../api/types.ts";
import { applyEvent, hasEnded, NEW_TURN, partsOf, type Turn, textOf } from "../state/turn.ts";

const IDS = { turn_id: "t", conversation_id: "c", user_message_id: "u", model: "offline" };

const EVENTS: TurnEvent[] = [
  { name: "turn.started", data: IDS },
  { name: "text.delta", data: { text: "One " } },
  { name: "text.delta", data: { text: "moment. " } },
  { name: "tool.call", data: { call_id: "1", name: "calculator", arguments: { expression: "1+1" } } },
  { name: "tool.result", data: { call_id: "1", name: "calculator", ok: true, content: "2", elapsed_ms: 3 } },
  { name: "text.delta", data: { text: "It is 2." } },
  {
    name: "turn.completed",
    data: {
      message_id: "m",
      finish_reason: "stop",
      usage: { input_tokens: 5, output_tokens: 7, cost_usd: 0.001 },
      model: "offline",
      timings: { first_token_ms: 1, total_ms: 2 },
    },
  },
];

function play(events: TurnEvent[], from: Turn = NEW_TURN, firstNumber = 1): Turn {
  return events.reduce((turn, event, index) => applyEvent(turn, firstNumber + index, event), from);
}

test("the events of a turn give its text, calls and figures in order", () => {
  const turn = play(EVENTS);

  assert.deepEqual(
    turn.parts.map((part) => (part.type === "tool" ? part.result : part.text)),
    ["One moment. ", "2", "It is 2."],
  );
  assert.deepEqual(
    [turn.status, turn.messageId, turn.usage?.output_tokens, hasEnded(turn)],
    ["completed", "m", 7, true],
  );
});

test("a replay that repeats events doubles no word", () => {
  for (let cut = 1; cut <= EVENTS.length; cut++) {
    const before = play(EVENTS.slice(0, cut));
    assert.equal(textOf(play(EVENTS, before).parts), "One moment.\n\nIt is 2.");
  }
});

test("a stream that goes on after the last event leaves no gap", () => {
  for (let cut = 1; cut < EVENTS.length; cut++) {
    const before = play(EVENTS.slice(0, cut));
    assert.deepEqual(play(EVENTS.slice(cut), before, cut + 1), play(EVENTS));
  }
});

test("a joined delta of a replay counts as its last event", () => {
  const turn = play([EVENTS[0] as TurnEvent]);
  const joined = applyEvent(turn, 3, { name: "text.delta", data: { text: "One moment. " } });

  assert.equal(textOf(applyEvent(joined, 2, EVENTS[1] as TurnEvent).parts), "One moment.");
});

test("an approval waits, and its result completes the same call", () => {
  const call = { call_id: "9", name: "send", arguments: { to: "bob" } };
  const waiting = play([
    EVENTS[0] as TurnEvent,
    { name: "tool.approval", data: call },
    { name: "turn.waiting", data: { call_ids: ["9"] } },
  ]);
  const result: TurnEvent = {
    name: "tool.result",
    data: { call_id: "9", name: "send", ok: true, content: "sent", elapsed_ms: 1 },
  };
  const done = applyEvent(waiting, 4, result);

  assert.deepEqual([waiting.status, done.status], ["waiting", "running"]);
  assert.deepEqual(done.parts, [
    { type: "tool", ...call, state: "done", question: null, result: "sent", elapsedMs: 1 },
  ]);
});

test("the parts of a stored answer look like those of its turn", () => {
  const { parts, sources } = partsOf(
    [
      { type: "text", text: "a" },
      { type: "tool_call", call_id: "1", name: "n", arguments: {} },
      { type: "tool_result", call_id: "1", ok: false, content: "no" },
      { type: "source", number: 1, document_id: "d", title: "T", chunk_id: "k", page: null, snippet: "s", score: 1 },
    ],
    "a",
  );

  assert.deepEqual(parts[1], {
    type: "tool",
    call_id: "1",
    name: "n",
    arguments: {},
    state: "failed",
    question: null,
    result: "no",
    elapsedMs: null,
  });
  assert.equal(sources[0]?.number, 1);
});

test("the offsets of a long text count characters, not UTF-16 units", () => {
  const { parts } = partsOf(
    [
      { type: "text", start: 0, end: 2 },
      { type: "text", start: 2, end: 3 },
    ],
    "😀b😀",
  );

  assert.deepEqual(parts, [{ type: "text", text: "😀b😀" }]);
});

test("a question waits at its call until the result arrives", () => {
  const form = { server: null, message: "", fields: [] };
  const turn = play([
    EVENTS[0] as TurnEvent,
    { name: "tool.call", data: { call_id: "q", name: "ask_user", arguments: {} } },
    { name: "tool.question", data: { question_id: "q", call_id: "q", name: "ask_user", form } },
    { name: "turn.waiting", data: { call_ids: ["q"] } },
  ]);
  const [part] = turn.parts;

  assert.equal(turn.status, "waiting");
  assert.ok(part?.type === "tool" && part.state === "asking" && part.question?.form === form);
});
