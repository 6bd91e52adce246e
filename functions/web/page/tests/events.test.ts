import assert from "node:assert/strict";
import { test } from "node:test";
import { EventParser, readEvents } from "../api/events.ts";

const STREAM = ': ping\n\nid: 1\nevent: text.delta\ndata: {"text":"é"}\n\nid: 2\nevent: turn.stopped\ndata: {}\n\n';
const EXPECTED = [
  { id: 1, name: "text.delta", data: '{"text":"é"}' },
  { id: 2, name: "turn.stopped", data: "{}" },
];

test("events are the same however the text is cut", () => {
  for (let at = 0; at <= STREAM.length; at++) {
    const parser = new EventParser();
    assert.deepEqual([...parser.push(STREAM.slice(0, at)), ...parser.push(STREAM.slice(at))], EXPECTED);
  }
});

test("a cut inside a character does not damage it", async () => {
  const bytes = new TextEncoder().encode(STREAM);
  for (let at = 0; at <= bytes.length; at++) {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(bytes.slice(0, at));
        controller.enqueue(bytes.slice(at));
        controller.close();
      },
    });
    const events = [];
    for await (const event of readEvents(body)) events.push(event);
    assert.deepEqual(events, EXPECTED);
  }
});

test("a text may hold Unicode's separators of lines and paragraphs", () => {
  const data = JSON.stringify({ text: "one\u2028two\u2029three\u0085" });
  assert.deepEqual(new EventParser().push(`id: 1\nevent: text.delta\ndata: ${data}\n\n`), [
    { id: 1, name: "text.delta", data },
  ]);
});

test("an unfinished event is dropped", () => {
  assert.deepEqual(new EventParser().push("id: 1\ndata: {}\n"), []);
});
