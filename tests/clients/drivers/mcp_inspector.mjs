// The MCP Inspector's command line.
import assert from "node:assert/strict";
import { check, command, KEY, URL_ } from "./checks.mjs";

const inspector = new URL("node_modules/.bin/mcp-inspector", import.meta.url).pathname;
const parley = ["--cli", `${URL_}/mcp`, "--transport", "http", "--header", `Authorization: Bearer ${KEY}`];

await check("list of tools", async () => {
  assert.match(command([inspector, ...parley, "--method", "tools/list"]), /"calculator"/);
});

await check("tool call", async () => {
  const call = ["--method", "tools/call", "--tool-name", "calculator", "--tool-arg", "expression=12.5 / 100 * 840"];
  assert.match(command([inspector, ...parley, ...call]), /"105"/);
});
