/** Split Markdown into its top-level blocks, so that a growing text renders only its last block again. */

import { Lexer, type TokensList } from "marked";
import remend from "remend";

export interface Block {
  /** The block's Markdown. The texts of all blocks, joined, are the input. */
  raw: string;
  type: string;
}

/** The blocks of a text, and where the blocks begin that more text may still change. */
export interface Split {
  text: string;
  blocks: Block[];
}

export const EMPTY: Split = { text: "", blocks: [] };

// A reference definition may stand after its use, so the blocks of such a text depend on each other.
const DEFINITION = /^ {0,3}\[[^\]]+\]:/m;

/** Split `text`. If it continues `previous`, all blocks of `previous` but its last two are taken over unchanged. */
export function split(text: string, previous: Split = EMPTY): Split {
  const kept = text.startsWith(previous.text) ? previous.blocks.slice(0, -2) : [];
  const offset = kept.reduce((sum, block) => sum + block.raw.length, 0);
  const rest = lex(text.slice(offset));
  return { text, blocks: [...kept, ...rest] };
}

function lex(text: string): Block[] {
  const tokens: TokensList = new Lexer({ gfm: true }).lex(text);
  const blocks: Block[] = [];
  for (const { raw, type } of tokens) {
    const last = blocks.at(-1);
    if (type === "space" && last) last.raw += raw;
    else blocks.push({ raw, type });
  }
  // The lexer normalizes line ends and tabs; offsets would then be wrong, so such a text is one block.
  return blocks.map((block) => block.raw).join("") === text ? blocks : [{ raw: text, type: "text" }];
}

/** Return the reference definitions of the text, which each block needs. */
export function definitionsOf(text: string): string {
  if (!DEFINITION.test(text)) return "";
  return text
    .split("\n")
    .filter((line) => DEFINITION.test(line))
    .join("\n");
}

/** Close the Markdown that a growing text leaves open, such as a bold phrase or a link. */
export function complete(markdown: string): string {
  return remend(markdown, { images: false, linkMode: "text-only" });
}
