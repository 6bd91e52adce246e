/** Formulas as MathML. Loaded when the first formula appears. */

import temml from "temml";
import { sanitizeMath } from "./render.ts";

/** Replace a formula's placeholder by MathML. A formula with an error keeps its source text. */
export function typeset(placeholder: HTMLElement): void {
  const { tex = "", display } = placeholder.dataset;
  try {
    const mathml = temml.renderToString(tex, { displayMode: display === "true", throwOnError: true, trust: false });
    placeholder.replaceChildren(sanitizeMath(mathml));
  } catch {
    placeholder.classList.add("is-invalid");
  }
}
