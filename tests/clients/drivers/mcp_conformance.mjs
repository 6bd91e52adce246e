// The server scenarios of MCP's own conformance suite, for each revision to which they apply. The suite cannot send a key, so its
// requests pass through a proxy that adds one. docs/mcp.md gives the reasons why the other scenarios are not run.
import assert from "node:assert/strict";
import http from "node:http";
import { check, KEY, URL_ } from "./checks.mjs";
import { BOTH, HANDSHAKE, MODERN, run } from "./conformance.mjs";

const SCENARIOS = {
  "server-initialize": [HANDSHAKE],
  ping: [HANDSHAKE],
  "server-stateless": [MODERN],
  "tools-list": BOTH,
  "tools-call-simple-text": BOTH,
  "tools-call-error": BOTH,
  "json-schema-2020-12": BOTH,
  "resources-list": BOTH,
  "sep-2164-resource-not-found": [MODERN],
  "prompts-list": BOTH,
  caching: [MODERN],
  "http-header-validation": [MODERN],
  "server-sse-multiple-streams": [MODERN],
  "input-required-result-unsupported-methods": [MODERN],
  "dns-rebinding-protection": BOTH,
};
// These checks call tools that require something of the client, which no tool of Parley can.
const NOT_APPLICABLE = {
  "server-stateless": [
    "sep-2575-server-rejects-undeclared-capability",
    "sep-2575-missing-capability-http-400",
    "sep-2575-http-server-no-independent-requests-on-stream",
  ],
};

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

for (const [scenario, revisions] of Object.entries(SCENARIOS)) {
  await check(scenario, async () => {
    for (const revision of revisions) {
      const { status, output, failed } = await run("server", scenario, revision, ["--url", url]);
      const excused = NOT_APPLICABLE[scenario] ?? [];
      assert.deepEqual(failed, excused, `${revision}: ${output.slice(-2000)}`);
      if (!excused.length) assert.equal(status, 0, output.slice(-2000));
    }
  });
}
proxy.close();

await check("authorization-server-metadata-endpoint", async () => {
  const { status, output, failed } = await run("authorization", "authorization-server-metadata-endpoint", HANDSHAKE, ["--url", URL_]);
  assert.deepEqual([failed, status], [[], 0], output.slice(-2000));
});
