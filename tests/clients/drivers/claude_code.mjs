// Claude Code, with Parley as the server of its model.
import assert from "node:assert/strict";
import { check, command, KEY, MODEL, QUESTION, URL_ } from "./checks.mjs";

const claude = new URL("node_modules/.bin/claude", import.meta.url).pathname;
const parley = { ANTHROPIC_BASE_URL: URL_, ANTHROPIC_AUTH_TOKEN: KEY, ANTHROPIC_MODEL: MODEL, ANTHROPIC_DEFAULT_HAIKU_MODEL: MODEL };
const quiet = { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1", DISABLE_AUTOUPDATER: "1", CLAUDE_CODE_MAX_RETRIES: "1" };

const ask = (question, ...options) => {
  const words = [claude, "-p", question, "--output-format", "json", ...options];
  const lines = command(words, { ...parley, ...quiet }).split("\n");
  return JSON.parse(lines.find((line) => line.startsWith("{"))).result;
};

await check("answer", () => {
  // It sends reminders of its own before the question.
  assert.match(ask(QUESTION), new RegExp(`^You said: [^]*${QUESTION}`));
});

await check("tools", () => {
  const call = 'Call Bash {"command": "echo $((20 + 22))", "description": "Add"}';
  assert.match(ask(call, "--allowedTools", "Bash"), /The tool returned: 42/);
});

await check("errors", () => {
  const words = [claude, "-p", QUESTION, "--output-format", "json"];
  assert.match(command(words, { ...parley, ...quiet, ANTHROPIC_AUTH_TOKEN: "wrong", status: 1 }), /401/);
});
