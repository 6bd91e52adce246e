import { useLayoutEffect, useRef } from "preact/hooks";
import { sanitizeMarks } from "../markdown/render.ts";

/** An excerpt with its matches marked, as the API's searches return it. */
export function Marked({ html }: { html: string }) {
  const ref = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => ref.current?.replaceChildren(sanitizeMarks(html)), [html]);
  return <span class="excerpt" ref={ref} dir="auto" />;
}
