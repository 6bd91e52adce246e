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
  groups: () => "#/groups",
  signIn: () => "#/sign-in",
  register: () => "#/register",
  reset: () => "#/reset",
};

/** Where an application's request waits while the user signs in at an issuer, which leads back to the page's plain address. */
const CONNECT_KEY = "parley.connect";
/** The address of the application's request with which this visit began: the screen after a sign-in. */
const connect = route.peek().view === "connect" ? location.hash : connectBeforeIssuer();

/** Remember the application's request, if there is one, and leave the page to sign in at an issuer. */
export function leaveToSignIn(address: URL): void {
  if (connect) sessionStorage.setItem(CONNECT_KEY, connect);
  location.assign(address);
}

function connectBeforeIssuer(): string | null {
  const kept = sessionStorage.getItem(CONNECT_KEY);
  sessionStorage.removeItem(CONNECT_KEY);
  // After a failed sign-in, the address names the problem.
  if (kept && location.hash.length <= 2) location.hash = kept;
  return kept;
}

export function afterSignIn(): string {
  return connect ?? href.chat(null);
}

export function navigate(to: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  hash.value = location.hash;
}
