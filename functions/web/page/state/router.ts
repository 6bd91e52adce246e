/** The route, kept in the address after `#`, so that it works below any path. */

import { computed, signal } from "@preact/signals";
import { parseRoute, type Route } from "./routes.ts";

const hash = signal(location.hash);
addEventListener("hashchange", () => {
  hash.value = location.hash;
});

export const route = computed<Route>(() => parseRoute(hash.value));

export const href = {
  chat: (id: string | null) => (id ? `#/c/${id}` : "#/"),
  settings: (section = "profile") => `#/settings/${section}`,
  admin: (section = "users") => `#/admin/${section}`,
  documents: (id?: string) => (id ? `#/documents/${id}` : "#/documents"),
  memory: () => "#/memory",
  signIn: () => "#/sign-in",
  register: () => "#/register",
  reset: () => "#/reset",
};

/** The address of the application's request with which this visit began: the screen after a sign-in. */
const connect = route.peek().view === "connect" ? location.hash : null;

export function afterSignIn(): string {
  return connect ?? href.chat(null);
}

export function navigate(to: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  hash.value = location.hash;
}
