// MCP's conformance suite, as a program. It tests the revisions of the protocol one at a time.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const suite = new URL("node_modules/@modelcontextprotocol/conformance/dist/index.js", import.meta.url).pathname;

export const HANDSHAKE = "2025-11-25";
export const MODERN = "2026-07-28";
export const BOTH = [HANDSHAKE, MODERN];

/**
 * Run one scenario of the suite for one revision. Returns the exit status, the output, and the ids of the checks that failed.
 * Throws if no check passed, as when the suite skips the scenario.
 */
export async function run(side, scenario, revision, options, env = {}) {
  const folder = `results-${side}-${scenario.replaceAll("/", "-")}-${revision}`;
  const words = [suite, side, ...options, "--scenario", scenario, "--spec-version", revision, "--output-dir", folder];
  const child = spawn(process.execPath, words, { env: { ...process.env, ...env } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => (output += piece));
  const status = await new Promise((resolve) => child.on("close", resolve));
  return { status, output, failed: failedChecks(folder) };
}

function failedChecks(folder) {
  const files = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith("checks.json"));
  const checks = files.flatMap((name) => JSON.parse(readFileSync(join(folder, name), "utf8")));
  assert.ok(checks.some(({ status }) => status === "SUCCESS"), `${folder}: no check passed`);
  return checks.filter(({ status }) => status === "FAILURE" || status === "WARNING").map(({ id }) => id);
}
