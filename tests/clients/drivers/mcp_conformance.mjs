// The server scenarios of MCP's own conformance suite. It cannot send a key, so its requests pass through a proxy that adds one.
// The suite's other scenarios call tools, resources and prompts that only its own example server has.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import http from "node:http";
import { check, KEY, URL_ } from "./checks.mjs";

const suite = new URL("node_modules/@modelcontextprotocol/conformance/dist/index.js", import.meta.url).pathname;
const SCENARIOS = ["server-initialize", "ping", "tools-list", "resources-list", "prompts-list", "dns-rebinding-protection"];

const proxy = http.createServer((request, response) => {
  const headers = { ...request.headers, authorization: `Bearer ${KEY}` };
  const forwarded = http.request(new URL(request.url, URL_), { method: request.method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  forwarded.on("error", () => response.destroy());
  request.pipe(forwarded);
});
await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${proxy.address().port}/mcp`;

/** Run the suite's command line and return its status and output. */
function run(scenario) {
  const child = spawn(process.execPath, [suite, "server", "--url", url, "--scenario", scenario]);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => (output += piece));
  return new Promise((resolve) => child.on("close", (status) => resolve({ status, output })));
}

for (const scenario of SCENARIOS) {
  await check(scenario, async () => {
    const { status, output } = await run(scenario);
    assert.equal(status, 0, output.slice(-2000));
  });
}
proxy.close();
