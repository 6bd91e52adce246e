// OpenAI's SDK for Node.js.
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { ANSWER, check, KEY, MODEL, PERSON, QUESTION, TOOL_ANSWER, TOOL_QUESTION, URL_ } from "./checks.mjs";

const client = new OpenAI({ baseURL: `${URL_}/v1`, apiKey: KEY });

const ask = { model: MODEL, messages: [{ role: "user", content: QUESTION }] };
const number = { type: "integer" };
const parameters = { type: "object", properties: { a: number, b: number } };

await check("models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes(MODEL));
});

await check("answer", async () => {
  const answer = await client.chat.completions.create(ask);
  assert.equal(answer.choices[0].message.content, ANSWER);
});

await check("stream", async () => {
  const pieces = [];
  for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) {
    if (chunk.choices[0]?.delta.content) pieces.push(chunk.choices[0].delta.content);
  }
  assert.ok(pieces.length > 1);
  assert.equal(pieces.join(""), ANSWER);
});

await check("tools", async () => {
  const add = { name: "add", parameters, parse: JSON.parse, function: ({ a, b }) => `${a + b}` };
  const runner = client.chat.completions.runTools({
    model: MODEL,
    messages: [{ role: "user", content: TOOL_QUESTION }],
    tools: [{ type: "function", function: add }],
  });
  assert.equal(await runner.finalContent(), TOOL_ANSWER);
});

await check("structured output", async () => {
  const person = z.object({ name: z.string(), age: z.number() });
  const answer = await client.chat.completions.parse({ ...ask, response_format: zodResponseFormat(person, "person") });
  assert.deepEqual(answer.choices[0].message.parsed, PERSON);
});

await check("responses", async () => {
  const answer = await client.responses.create({ model: MODEL, input: QUESTION });
  assert.equal(answer.output_text, ANSWER);
  const pieces = [];
  for await (const event of await client.responses.create({ model: MODEL, input: QUESTION, stream: true })) {
    if (event.type === "response.output_text.delta") pieces.push(event.delta);
  }
  assert.equal(pieces.join(""), ANSWER);
});

await check("background responses", async () => {
  const created = await client.responses.create({ model: MODEL, input: QUESTION, background: true });
  assert.equal(created.status, "in_progress");
  let read = created;
  for (let tries = 0; tries < 100 && read.status === "in_progress"; tries++) {
    await setTimeout(100);
    read = await client.responses.retrieve(created.id);
  }
  assert.equal(read.output_text, ANSWER);
  const events = [];
  for await (const event of await client.responses.retrieve(created.id, { stream: true, starting_after: 1 })) events.push(event);
  assert.deepEqual([events[0].sequence_number, events.at(-1).type], [2, "response.completed"]);
  assert.equal((await client.responses.cancel(created.id)).status, "completed");
});

await check("conversations", async () => {
  const items = [{ role: "user", content: QUESTION }];
  const { id } = await client.conversations.create({ items, metadata: { topic: "greeting" } });
  const answer = await client.responses.create({ model: MODEL, input: QUESTION, conversation: id });
  assert.equal(answer.output_text, ANSWER);
  const roles = [];
  for await (const item of client.conversations.items.list(id, { order: "asc", limit: 2 })) roles.push(item.role);
  assert.deepEqual(roles, ["user", "user", "assistant"]);
  assert.ok((await client.conversations.delete(id)).deleted);
  await assert.rejects(client.conversations.retrieve(id), OpenAI.NotFoundError);
});

await check("errors", async () => {
  await assert.rejects(client.chat.completions.create({ ...ask, model: "no-such-model" }), OpenAI.NotFoundError);
  await assert.rejects(client.withOptions({ apiKey: "wrong" }).models.list(), OpenAI.AuthenticationError);
});
