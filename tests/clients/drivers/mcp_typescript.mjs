// The MCP SDK for TypeScript.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { check, KEY, URL_ } from "./checks.mjs";

const requestInit = { headers: { Authorization: `Bearer ${KEY}` } };
const client = new Client({ name: "parley-check", version: "1.0.0" });
await client.connect(new StreamableHTTPClientTransport(new URL(`${URL_}/mcp`), { requestInit }));

await check("list of tools", async () => {
  const names = (await client.listTools()).tools.map((tool) => tool.name);
  assert.ok(names.includes("calculator"));
});

await check("tool call", async () => {
  const result = await client.callTool({ name: "calculator", arguments: { expression: "12.5 / 100 * 840" } });
  assert.equal(result.content[0].text, "105");
});

await check("failed tool call", async () => {
  const result = await client.callTool({ name: "calculator", arguments: { expression: "1 / 0" } });
  assert.equal(result.isError, true);
});

await check("errors", async () => {
  const options = { requestInit: { headers: { Authorization: "Bearer wrong" } } };
  const transport = new StreamableHTTPClientTransport(new URL(`${URL_}/mcp`), options);
  await assert.rejects(new Client({ name: "parley-check", version: "1.0.0" }).connect(transport), /401|unauthorized/i);
});

await client.close();
