/** Markdown to inert DOM nodes: no scripts, no styles, no requests, whatever the text contains. */

import DOMPurify from "dompurify";
import { Marked, type TokenizerAndRendererExtension } from "marked";

const TAGS = [
  "a b blockquote br code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i input kbd li mark ol p pre s span strong",
  "sub summary sup table tbody td th thead tr u ul",
]
  .join(" ")
  .split(" ");
const ATTRIBUTES = [
  "href",
  "title",
  "align",
  "start",
  "type",
  "checked",
  "disabled",
  "class",
  "data-tex",
  "data-display",
];
const LINK = /^(?:https?:|mailto:)/i;

/** Formulas become placeholders, which `math.ts` fills once its library is loaded. */
const FORMULA: TokenizerAndRendererExtension = {
  name: "formula",
  level: "inline",
  start: (text) => text.search(/\$|\\[([]/),
  tokenizer(text) {
    const match =
      /^\$\$([^$]+?)\$\$/.exec(text) ??
      /^\\\[([\s\S]+?)\\\]/.exec(text) ??
      /^\\\(([\s\S]+?)\\\)/.exec(text) ??
      // As in Pandoc: no space inside the dollars and no digit after them, or two prices would be a formula.
      /^\$(?![\s$])((?:\\.|[^$\\\n])+?)(?<!\s)\$(?!\d)/.exec(text);
    if (!match) return undefined;
    const isDisplay = match[0].startsWith("$$") || match[0].startsWith("\\[");
    return { type: "formula", raw: match[0], tex: match[1], isDisplay };
  },
  renderer: (token) =>
    `<span class="math" data-tex="${escapeHtml(token.tex)}" data-display="${token.isDisplay}">${escapeHtml(token.raw)}</span>`,
};

const marked = new Marked({ gfm: true, breaks: true, async: false }, { extensions: [FORMULA] });
marked.use({
  renderer: {
    // Raw HTML is shown as text. The model does not write the page.
    html: ({ text }) => escapeHtml(text),
    // An image would tell its server that, and what, the user reads: show a link instead.
    image: ({ href, text }) => `<a href="${escapeHtml(href)}">${escapeHtml(text || href)}</a>`,
    code: ({ text, lang }) => {
      const language = /^[\w+#-]{1,30}/.exec(lang ?? "")?.[0]?.toLowerCase() ?? "";
      return `<pre><code class="language-${language}">${escapeHtml(text)}\n</code></pre>`;
    },
  },
});

function escapeHtml(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName === "A") {
    const href = node.getAttribute("href") ?? "";
    if (!LINK.test(href)) node.removeAttribute("href");
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer nofollow");
  }
  if (node.tagName === "INPUT") {
    node.setAttribute("type", "checkbox");
    node.setAttribute("disabled", "");
  }
});

/** Render Markdown. `definitions` are the reference definitions of the whole text. */
export function render(markdown: string, definitions = ""): DocumentFragment {
  const html = marked.parse(definitions ? `${markdown}\n\n${definitions}` : markdown) as string;
  return sanitize(html);
}

/** Sanitize the HTML that Markdown gave. Everything outside the listed elements and attributes is removed. */
export function sanitize(html: string): DocumentFragment {
  return DOMPurify.sanitize(html, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ATTRIBUTES,
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  });
}

/** Sanitize MathML, which Temml wrote. */
export function sanitizeMath(html: string): DocumentFragment {
  return DOMPurify.sanitize(html, {
    USE_PROFILES: { mathMl: true },
    FORBID_ATTR: ["style", "href"],
    RETURN_DOM_FRAGMENT: true,
  });
}

/** Sanitize HTML of which only marks remain, such as a search result's excerpt. */
export function sanitizeMarks(html: string): DocumentFragment {
  return DOMPurify.sanitize(html, { ALLOWED_TAGS: ["mark"], ALLOWED_ATTR: [], RETURN_DOM_FRAGMENT: true });
}
