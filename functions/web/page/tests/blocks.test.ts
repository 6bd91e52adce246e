import assert from "node:assert/strict";
import { test } from "node:test";
import { complete, definitionsOf, EMPTY, split } from "../markdown/blocks.ts";

const TEXT = `# Title

A paragraph with **bold** text
over two lines.

- one
- two

  loose
- three

\`\`\`python
print("a")

print("b")
\`\`\`

| a | b |
|---|---|
| 1 | 2 |

> quote

Last words.`;

const raws = (text: string) => split(text).blocks.map((block) => block.raw);

test("the blocks joined are the text", () => {
  assert.equal(raws(TEXT).join(""), TEXT);
});

test("a text that grows by any step has the blocks of the whole text", () => {
  for (const step of [1, 3, 17]) {
    let previous = EMPTY;
    for (let end = step; end < TEXT.length + step; end += step) previous = split(TEXT.slice(0, end), previous);
    assert.deepEqual(
      previous.blocks.map((block) => block.raw),
      raws(TEXT),
    );
  }
});

test("finished blocks are taken over, so that they are not rendered again", () => {
  const before = split(TEXT.slice(0, 200));
  const after = split(TEXT, before);

  assert.ok(before.blocks.length > 3);
  assert.equal(after.blocks[0], before.blocks[0]);
});

test("another text starts from nothing", () => {
  assert.deepEqual(split("new text", split(TEXT)).blocks, split("new text").blocks);
});

test("definitions are found for every block that uses them", () => {
  assert.equal(definitionsOf("See [a].\n\n[a]: https://example.com\n"), "[a]: https://example.com");
  assert.equal(definitionsOf("No definition [1]."), "");
});

test("open Markdown is closed while the text grows", () => {
  assert.equal(complete("some **bold"), "some **bold**");
  assert.equal(complete("a [link](https://exam"), "a link");
});
