// Build the page into functions/web/assets: hashed file names, each file also compressed with Brotli and gzip.

import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { build } from "esbuild";

const PAGE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const OUTPUT = path.resolve(PAGE, "..", "assets");
const FRESH = `${OUTPUT}.new`;
const MIN_COMPRESSED_BYTES = 200;

const { metafile } = await build({
  entryPoints: { main: path.join(PAGE, "main.tsx"), styles: path.join(PAGE, "styles", "main.css") },
  outdir: FRESH,
  bundle: true,
  splitting: true,
  format: "esm",
  target: ["es2022"],
  minify: true,
  legalComments: "none",
  jsx: "automatic",
  jsxImportSource: "preact",
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  metafile: true,
  write: false,
  logLevel: "warning",
}).then(async (result) => {
  await rm(FRESH, { recursive: true, force: true });
  await mkdir(FRESH, { recursive: true });
  await Promise.all(result.outputFiles.map((file) => store(path.basename(file.path), file.contents)));
  return result;
});

await store("index.html", Buffer.from(await document()));
await rm(OUTPUT, { recursive: true, force: true });
await rename(FRESH, OUTPUT);

/** Return index.html with the hashed names of the entry points and of the chunks that they import. */
async function document() {
  const outputs = Object.entries(metafile.outputs);
  const entry = (source) => outputs.find(([, output]) => output.entryPoint?.endsWith(source));
  const [script, scriptOutput] = entry("page/main.tsx");
  const [style] = entry("page/styles/main.css");
  const imports = scriptOutput.imports.filter((one) => one.kind === "import-statement").map((one) => one.path);
  const preloads = imports.map((name) => `<link rel="modulepreload" href="assets/${path.basename(name)}">`).join("");
  const template = await readFile(path.join(PAGE, "index.html"), "utf8");
  return template
    .replace("<!-- preloads -->", preloads)
    .replace("main.js", path.basename(script))
    .replace("main.css", path.basename(style));
}

async function store(name, content) {
  const target = path.join(FRESH, name);
  await writeFile(target, content);
  if (content.length < MIN_COMPRESSED_BYTES) return;
  const brotli = await promisify(brotliCompress)(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
  await Promise.all([
    writeFile(`${target}.br`, brotli),
    writeFile(`${target}.gz`, await promisify(gzip)(content, { level: 9 })),
  ]);
}
