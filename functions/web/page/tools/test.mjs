// Bundle the tests of the page's modules and run them with Node's test runner.
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const PAGE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const folder = await mkdtemp(path.join(os.tmpdir(), "parley-page-tests-"));
try {
  await build({
    entryPoints: globSync("tests/*.test.{ts,tsx}", { cwd: PAGE }).map((name) => path.join(PAGE, name)),
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    jsx: "automatic",
    jsxImportSource: "preact",
    sourcemap: "inline",
    logLevel: "warning",
  });
  const arguments_ = ["--enable-source-maps", "--test", "--test-reporter=dot", `${folder}/*.mjs`];
  process.exitCode = spawnSync(process.execPath, arguments_, { stdio: "inherit" }).status ?? 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
