/** Syntax colours. Loaded when the first block of code appears. */

import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { sanitize } from "./render.ts";

const LANGUAGES = { bash, c, css, diff, go, java, javascript, json, python, rust, sql, typescript, xml, yaml };
for (const [name, language] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, language);
hljs.registerAliases(["shell", "console", "zsh"], { languageName: "bash" });
hljs.registerAliases(["cpp", "c++", "h"], { languageName: "c" });

/** Colour the code in place, if its language is known. */
export function highlight(code: HTMLElement): void {
  const language = /language-([\w+#-]+)/.exec(code.className)?.[1];
  if (!language || !hljs.getLanguage(language)) return;
  const { value } = hljs.highlight(code.textContent ?? "", { language, ignoreIllegals: true });
  code.replaceChildren(sanitize(value));
}
