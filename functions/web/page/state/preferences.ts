/** What this browser remembers: the theme and the drafts. Never a token. */

import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

/** Read a stored value. Storage may be switched off; the page then remembers nothing. */
export function recall<Value>(key: string, initial: Value): Value {
  try {
    const text = localStorage.getItem(`parley.${key}`);
    return text === null ? initial : (JSON.parse(text) as Value);
  } catch {
    return initial;
  }
}

export function remember(key: string, value: unknown): void {
  try {
    if (value === null || value === "") localStorage.removeItem(`parley.${key}`);
    else localStorage.setItem(`parley.${key}`, JSON.stringify(value));
  } catch {
    // Nothing to do: the value lasts as long as the page.
  }
}

/** Forget everything of the user, at the end of a session that the user ended. The theme stays. */
export function forgetUser(): void {
  try {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith("parley.") && key !== "parley.theme") localStorage.removeItem(key);
    }
  } catch {
    // As above.
  }
}

export const theme = signal<Theme>(recall<Theme>("theme", "system"));

effect(() => {
  const chosen = theme.value;
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  remember("theme", chosen === "system" ? null : chosen);
});

let owner = "";

/** Keep the drafts of this user from now on. A session may end without a sign-out, and the next user of the browser must not see them. */
export function keepDraftsOf(userId: string): void {
  owner = userId;
}

export const draftKey = (conversationId: string | null): string => `draft.${owner}.${conversationId ?? "new"}`;
