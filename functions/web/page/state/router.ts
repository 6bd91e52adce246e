/** The route, kept in the address after `#`, so that it works below any path. */

import { computed, signal } from "@preact/signals";
import { parseRoute, type Route } from "./routes.ts";

const hash = signal(location.hash);
addEventListener("hashchange", () => {
  hash.value = location.hash;
});

export const route = computed<Route>(() => parseRoute(hash.value));

/** Whether a phone shows the list of conversations above the screen. */
export const isSidebarOpen = signal(false);

export const href = {
  chat: (id: string | null) => (id ? `#/c/${id}` : "#/"),
  settings: (section = "profile") => `#/settings/${section}`,
  admin: (section = "users") => `#/admin/${section}`,
  documents: (id?: string) => (id ? `#/documents/${id}` : "#/documents"),
  memory: () => "#/memory",
  projects: () => "#/projects",
  groups: () => "#/groups",
  assistants: () => "#/assistants",
  prompts: () => "#/prompts",
  shared: (token: string) => `#/shared/${token}`,
  signIn: () => "#/sign-in",
  register: () => "#/register",
  reset: () => "#/reset",
};

/** Where the first address waits while the user signs in at an issuer, which leads back to the page's plain address. */
const FIRST_KEY = "parley.first";
/** The address with which this visit began, if it is an application's request or a shared link: the screen after a sign-in. */
const first = ["connect", "shared"].includes(route.peek().view) ? location.hash : firstBeforeIssuer();

/** Remember the first address, if there is one, and leave the page to sign in at an issuer. */
export function leaveToSignIn(address: URL): void {
  if (first) sessionStorage.setItem(FIRST_KEY, first);
  location.assign(address);
}

function firstBeforeIssuer(): string | null {
  const kept = sessionStorage.getItem(FIRST_KEY);
  sessionStorage.removeItem(FIRST_KEY);
  // After a failed sign-in, the address names the problem.
  if (kept && location.hash.length <= 2) location.hash = kept;
  return kept;
}

export function afterSignIn(): string {
  return first ?? href.chat(null);
}

export function navigate(to: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  hash.value = location.hash;
}
