// Anthropic's SDK for Node.js.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import { ANSWER, check, KEY, MODEL, PERSON, QUESTION, TOOL_ANSWER, TOOL_QUESTION, URL_ } from "./checks.mjs";

const client = new Anthropic({ baseURL: URL_, apiKey: KEY });

const ask = { model: MODEL, max_tokens: 1000, messages: [{ role: "user", content: QUESTION }] };
const number = { type: "integer" };
const add = { name: "add", description: "Add two numbers.", input_schema: { type: "object", properties: { a: number, b: number } } };

await check("answer", async () => {
  const { content, stop_reason, usage } = await client.messages.create(ask);
  assert.deepEqual([content[0].text, stop_reason, usage.output_tokens], [ANSWER, "end_turn", 3]);
});

await check("stream", async () => {
  const pieces = [];
  const stream = client.messages.stream(ask).on("text", (piece) => pieces.push(piece));
  const { content } = await stream.finalMessage();
  assert.ok(pieces.length > 1);
  assert.deepEqual([pieces.join(""), content[0].text], [ANSWER, ANSWER]);
});

await check("tools", async () => {
  const question = { role: "user", content: TOOL_QUESTION };
  const asked = await client.messages.create({ ...ask, messages: [question], tools: [add] });
  const use = asked.content.find(({ type }) => type === "tool_use");
  const result = { type: "tool_result", tool_use_id: use.id, content: `${use.input.a + use.input.b}` };
  const messages = [question, { role: "assistant", content: asked.content }, { role: "user", content: [result] }];
  const answer = await client.messages.create({ ...ask, messages, tools: [add] });
  assert.equal(answer.content[0].text, TOOL_ANSWER);
});

await check("structured output", async () => {
  const person = z.object({ name: z.string(), age: z.number() });
  const answer = await client.messages.parse({ ...ask, output_config: { format: zodOutputFormat(person) } });
  assert.deepEqual(answer.parsed_output, PERSON);
});

await check("count of tokens", async () => {
  const { input_tokens } = await client.messages.countTokens({ model: MODEL, messages: ask.messages });
  assert.ok(input_tokens > 0);
});

await check("errors", async () => {
  await assert.rejects(client.messages.create({ ...ask, model: "no-such-model" }), Anthropic.NotFoundError);
  await assert.rejects(client.withOptions({ apiKey: "wrong" }).messages.create(ask), Anthropic.AuthenticationError);
});
