// AG-UI's client for JavaScript: `HttpAgent`, which sends `RunAgentInput` and reads the protocol's events.
import assert from "node:assert/strict";
import { HttpAgent } from "@ag-ui/client";
import { ANSWER, check, KEY, MODEL, QUESTION, URL_ } from "./checks.mjs";

const agent = new HttpAgent({ url: `${URL_}/chat/ag-ui`, headers: { Authorization: `Bearer ${KEY}` } });

const options = { forwardedProps: { parley: { model: MODEL } } };
const ask = (content) => agent.addMessage({ id: crypto.randomUUID(), role: "user", content });
const assistants = () => agent.messages.filter(({ role }) => role === "assistant").map(({ content }) => content);

await check("answer", async () => {
  ask(QUESTION);
  const { newMessages } = await agent.runAgent(options);
  assert.deepEqual(newMessages.map(({ role, content }) => [role, content]), [["assistant", ANSWER]]);
});

await check("stream", async () => {
  const pieces = [];
  ask(QUESTION);
  await agent.runAgent(options, { onTextMessageContentEvent: ({ event }) => void pieces.push(event.delta) });
  assert.ok(pieces.length > 1);
  assert.equal(pieces.join(""), ANSWER);
});

await check("threads", async () => {
  const ids = new Set();
  const note = ({ event }) => void (event.name === "parley.turn" && ids.add(event.value.conversation_id));
  for (const content of ["one", "two"]) {
    ask(content);
    await agent.runAgent(options, { onCustomEvent: note });
  }
  assert.equal(ids.size, 1);
  assert.deepEqual(assistants().slice(-2), ["You said: one", "You said: two"]);
});

await check("errors", async () => {
  ask(QUESTION);
  await assert.rejects(agent.runAgent({ forwardedProps: { parley: { model: "no-such-model" } } }), /404/);
  agent.headers = { Authorization: "Bearer wrong" };
  await assert.rejects(agent.runAgent(options), /401/);
});
