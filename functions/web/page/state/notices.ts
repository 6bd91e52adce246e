/** Short messages to the user: toasts, and what a screen reader announces. */

import { signal } from "@preact/signals";
import { Offline, SignedOut } from "../api/errors.ts";
import { explain } from "../text/format.ts";

export interface Notice {
  id: number;
  kind: "info" | "error";
  text: string;
}

const INFO_MS = 4000;
const ERROR_MS = 9000;

let nextId = 1;
export const notices = signal<Notice[]>([]);
/** The sentence that a screen reader announces next. */
export const announcement = signal("");

export function notify(text: string, kind: Notice["kind"] = "info"): void {
  const notice = { id: nextId++, kind, text };
  notices.value = [...notices.value.filter((other) => other.text !== text), notice];
  setTimeout(() => dismiss(notice.id), kind === "error" ? ERROR_MS : INFO_MS);
}

export function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}

/** Show what went wrong. A lost connection or session has its own place on the screen. */
export function report(error: unknown): void {
  if (error instanceof SignedOut || error instanceof Offline) return;
  if (error instanceof DOMException && error.name === "AbortError") return;
  notify(explain(error), "error");
}

export function announce(text: string): void {
  announcement.value = "";
  requestAnimationFrame(() => {
    announcement.value = text;
  });
}
