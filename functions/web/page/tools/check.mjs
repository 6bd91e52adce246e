// Check the page: linter and formatter, types, and the tests of its modules. Stops at the first failure.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";

const PAGE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const MODULES = path.resolve(PAGE, "..", "..", "..", "node_modules");

const STEPS = [
  [path.join(MODULES, "@biomejs", "biome", "bin", "biome"), "check", "--error-on-warnings", PAGE],
  [path.join(MODULES, "typescript", "bin", "tsc"), "--noEmit", "--project", PAGE],
  [path.join(PAGE, "tools", "test.mjs")],
];

for (const step of STEPS) {
  const { status } = spawnSync(process.execPath, step, { stdio: "inherit", cwd: PAGE });
  if (status !== 0) process.exit(status ?? 1);
}
