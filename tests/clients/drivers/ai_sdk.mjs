// Vercel's AI SDK.
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embedMany, generateText, isStepCount, Output, streamText, tool } from "ai";
import { z } from "zod";
import { ANSWER, check, KEY, MODEL, PERSON, QUESTION, TOOL_ANSWER, TOOL_QUESTION, URL_ } from "./checks.mjs";

const parley = createOpenAICompatible({ name: "parley", baseURL: `${URL_}/v1`, apiKey: KEY, supportsStructuredOutputs: true });

const model = parley(MODEL);
const add = tool({
  description: "Add two numbers.",
  inputSchema: z.object({ a: z.number(), b: z.number() }),
  execute: async ({ a, b }) => a + b,
});

await check("answer", async () => {
  assert.equal((await generateText({ model, prompt: QUESTION })).text, ANSWER);
});

await check("stream", async () => {
  const pieces = [];
  for await (const piece of streamText({ model, prompt: QUESTION }).textStream) pieces.push(piece);
  assert.ok(pieces.length > 1);
  assert.equal(pieces.join(""), ANSWER);
});

await check("tools", async () => {
  const answer = await generateText({ model, prompt: TOOL_QUESTION, tools: { add }, stopWhen: isStepCount(3) });
  assert.equal(answer.text, TOOL_ANSWER);
});

await check("streamed tools", async () => {
  const answer = streamText({ model, prompt: TOOL_QUESTION, tools: { add }, stopWhen: isStepCount(3) });
  assert.ok((await answer.text).endsWith(TOOL_ANSWER));
});

await check("structured output", async () => {
  const schema = z.object({ name: z.string(), age: z.number() });
  const answer = await generateText({ model, prompt: QUESTION, output: Output.object({ schema }) });
  assert.deepEqual(answer.output, PERSON);
});

await check("embeddings", async () => {
  const { embeddings } = await embedMany({ model: parley.embeddingModel("lexical"), values: ["one", "two"] });
  assert.deepEqual(embeddings.map((embedding) => embedding.length), [64, 64]);
});

await check("responses", async () => {
  const responses = createOpenAI({ baseURL: `${URL_}/v1`, apiKey: KEY });
  const answer = streamText({ model: responses(MODEL), prompt: TOOL_QUESTION, tools: { add }, stopWhen: isStepCount(3) });
  assert.ok((await answer.text).endsWith(TOOL_ANSWER));
});

await check("errors", async () => {
  const fails = (status) => (error) => APICallError.isInstance(error) && error.statusCode === status;
  const stranger = createOpenAICompatible({ name: "parley", baseURL: `${URL_}/v1`, apiKey: "wrong" });
  await assert.rejects(generateText({ model: parley("no-such-model"), prompt: QUESTION }), fails(404));
  await assert.rejects(generateText({ model: stranger(MODEL), prompt: QUESTION }), fails(401));
});
