// The checks of a driver. Each result is a line of JSON, which `tests/clients/run.py` reads.
// The fake vendor's model answers as `tests/clients/model.py` says.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";

export const URL_ = process.env.PARLEY_URL;
export const KEY = process.env.PARLEY_KEY;
export const MODEL = "vendor";
export const [QUESTION, ANSWER] = ["Hello there", "You said: Hello there"];
export const [TOOL_QUESTION, TOOL_ANSWER] = ['Call add {"a": 2, "b": 3}', "The tool returned: 5"];
// The values of a sample of `{"name": string, "age": integer}`.
export const PERSON = { name: "Ada", age: 36 };

/** Run the function and report it under `name`. */
export async function check(name, run) {
  let error = "";
  try {
    await run();
  } catch (exc) {
    console.error(exc);
    error = `${exc?.name}: ${exc?.message}`.slice(0, 500);
  }
  console.log(JSON.stringify({ check: name, error }));
}

/** Run a program and return its output. Throws if it ends with another status. */
export function command(words, { status = 0, ...env } = {}) {
  const done = spawnSync(words[0], words.slice(1), { env: { ...process.env, ...env }, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  assert.equal(done.status, status, `status ${done.status}: ${done.stdout?.slice(-1000)}${done.stderr?.slice(-2000)}`);
  return done.stdout + done.stderr;
}
