// The client scenarios of MCP's own conformance suite, with Parley's client of MCP servers. The suite starts the servers.
import assert from "node:assert/strict";
import { check } from "./checks.mjs";
import { BOTH, HANDSHAKE, MODERN, run } from "./conformance.mjs";

const root = new URL("../../", import.meta.url).pathname; // this file runs as .clients/NAME/NAME.mjs
const command = `${root}.venv/bin/python -m tests.clients.conformance_client`;

const SCENARIOS = {
  initialize: [HANDSHAKE],
  tools_call: BOTH,
  "sse-retry": [HANDSHAKE],
  "request-metadata": [MODERN],
  "http-standard-headers": [MODERN],
  "http-custom-headers": [MODERN],
  "http-invalid-tool-headers": [MODERN],
  "json-schema-ref-no-deref": [MODERN],
  "json-schema-2020-12-preservation": BOTH,
  "sep-2322-client-request-state": [MODERN],
};

for (const [scenario, revisions] of Object.entries(SCENARIOS)) {
  await check(scenario, async () => {
    for (const revision of revisions) {
      const { status, output, failed } = await run("client", scenario, revision, ["--command", command], { PYTHONPATH: root });
      assert.deepEqual(failed, [], `${revision}: ${output.slice(-2000)}`);
      assert.equal(status, 0, output.slice(-2000));
    }
  });
}
