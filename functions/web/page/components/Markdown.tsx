/** A text as Markdown. While it grows, only its last blocks are rendered again. */

import { memo } from "preact/compat";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { Source } from "../api/types.ts";
import { complete, definitionsOf, EMPTY, type Split, split } from "../markdown/blocks.ts";
import { render } from "../markdown/render.ts";
import { t } from "../text/index.ts";

interface MarkdownProps {
  text: string;
  isGrowing?: boolean;
  sources?: Source[];
  onSource?: (source: Source) => void;
}

export function Markdown({ text, isGrowing = false, sources, onSource }: MarkdownProps) {
  const previous = useRef<Split>(EMPTY);
  const { blocks } = useMemo(() => {
    previous.current = split(text, previous.current);
    return previous.current;
  }, [text]);
  const definitions = useMemo(() => definitionsOf(text), [text]);
  return (
    <div class="markdown" onClick={(event) => followCitation(event, sources, onSource)}>
      {blocks.map((block, index) => (
        <Block
          // A block's place is its identity: a text only grows at its end.
          key={index}
          raw={block.raw}
          isOpen={isGrowing && index === blocks.length - 1}
          definitions={definitions}
          sources={sources}
        />
      ))}
    </div>
  );
}

interface BlockProps {
  raw: string;
  isOpen: boolean;
  definitions: string;
  sources: Source[] | undefined;
}

const Block = memo(function Block({ raw, isOpen, definitions, sources }: BlockProps) {
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const content = render(isOpen ? complete(raw) : raw, definitions);
    if (sources?.length) addCitations(content, sources);
    frameCode(content);
    ref.current?.replaceChildren(content);
  }, [raw, isOpen, definitions, sources]);
  useEffect(() => {
    if (!isOpen && ref.current) enrich(ref.current);
  }, [raw, isOpen, definitions, sources]);
  return <div class="block" dir="auto" ref={ref} />;
});

/** Load colours and formulas, where the text has code and formulas. */
function enrich(block: HTMLElement): void {
  const code = block.querySelectorAll<HTMLElement>("pre code");
  if (code.length > 0) import("../markdown/highlight.ts").then(({ highlight }) => code.forEach(highlight), ignore);
  const formulas = block.querySelectorAll<HTMLElement>(".math");
  if (formulas.length > 0) import("../markdown/math.ts").then(({ typeset }) => formulas.forEach(typeset), ignore);
}

// Without the library the text stays as it was written.
const ignore = () => undefined;

/** Give each block of code a head with its language and a button to copy it. */
function frameCode(content: DocumentFragment): void {
  for (const pre of content.querySelectorAll("pre")) {
    const frame = document.createElement("div");
    frame.className = "code";
    frame.dir = "ltr"; // whatever the direction of the text around it
    const head = document.createElement("div");
    head.className = "code-head";
    const language = document.createElement("span");
    language.textContent = /language-([\w+#-]+)/.exec(pre.firstElementChild?.className ?? "")?.[1] ?? "";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "code-copy";
    button.textContent = t.chat.copyCode;
    head.append(language, button);
    pre.tabIndex = 0;
    pre.replaceWith(frame);
    frame.append(head, pre);
  }
  for (const table of content.querySelectorAll("table")) {
    const frame = document.createElement("div");
    frame.className = "table";
    frame.tabIndex = 0;
    table.replaceWith(frame);
    frame.append(table);
  }
}

/** Turn `[1]` into a button, where there is a source of that number. */
function addCitations(content: DocumentFragment, sources: Source[]): void {
  const walker = document.createTreeWalker(content, NodeFilter.SHOW_TEXT);
  const texts: Text[] = [];
  while (walker.nextNode()) texts.push(walker.currentNode as Text);
  for (const text of texts) {
    if (text.parentElement?.closest("pre, code, a")) continue;
    const pieces = text.data.split(/(\[\d{1,3}\])/);
    if (pieces.length === 1) continue;
    text.replaceWith(...pieces.map((piece) => citation(piece, sources)));
  }
}

function citation(piece: string, sources: Source[]): Node {
  const source = sources.find((one) => piece === `[${one.number}]`);
  if (!source) return document.createTextNode(piece);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "citation";
  button.dataset.number = String(source.number);
  button.textContent = String(source.number);
  button.setAttribute("aria-label", t.chat.source(source.number, source.title));
  button.title = source.title;
  return button;
}

function followCitation(event: MouseEvent, sources: Source[] | undefined, onSource: MarkdownProps["onSource"]): void {
  const target = event.target as HTMLElement;
  const chip = target.closest<HTMLElement>(".citation");
  const source = chip && sources?.find((one) => String(one.number) === chip.dataset.number);
  if (source) onSource?.(source);
  const copy = target.closest<HTMLElement>(".code-copy");
  if (copy) copyCode(copy);
}

async function copyCode(button: HTMLElement): Promise<void> {
  const code = button.closest(".code")?.querySelector("code")?.textContent ?? "";
  await navigator.clipboard.writeText(code.replace(/\n$/, ""));
  button.textContent = t.common.copied;
  setTimeout(() => {
    button.textContent = t.chat.copyCode;
  }, 2000);
}
