// Codex, with Parley as the provider of its model.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { ANSWER, check, command, MODEL, QUESTION, URL_ } from "./checks.mjs";

const codex = new URL("node_modules/.bin/codex", import.meta.url).pathname;
const config = `
model = "${MODEL}"
model_provider = "parley"

[model_providers.parley]
name = "Parley"
base_url = "${URL_}/v1"
env_key = "PARLEY_KEY"
wire_api = "responses"
`;
mkdirSync(`${process.env.HOME}/.codex`);
writeFileSync(`${process.env.HOME}/.codex/config.toml`, config);

const ask = (question, options) => command([codex, "exec", "--skip-git-repo-check", "--json", question], options);

await check("answer", () => {
  assert.ok(ask(QUESTION).includes(ANSWER));
});

await check("tools", () => {
  assert.match(ask('Call exec_command {"cmd": "echo $((20 + 22))"}'), /The tool returned: [^"]*42/);
});

await check("errors", () => {
  assert.match(ask(QUESTION, { status: 1, PARLEY_KEY: "wrong" }), /401/);
});
