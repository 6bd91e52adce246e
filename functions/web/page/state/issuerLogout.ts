/** The sign-out at the issuer, after the one here: the way there, and the answer with which the browser comes back. */

import { signal } from "@preact/signals";
import type { IssuerLogout } from "../api/types.ts";

const KEY = "parley.issuer-logout";

/** Where the user who has just signed out here may sign out too. */
export const issuerLogout = signal<IssuerLogout | null>(null);

/** The issuer from whose sign-out the browser has come back, until the next sign-in. */
export const returnedFrom = signal(readReturn());

/** Leave the page, and remember the `state` that the issuer sends back. */
export function leaveToSignOut({ label, url }: IssuerLogout): void {
  const state = new URL(url).searchParams.get("state");
  if (state) sessionStorage.setItem(KEY, JSON.stringify({ label, state }));
  location.assign(url);
}

function readReturn(): string | null {
  const kept = sessionStorage.getItem(KEY);
  sessionStorage.removeItem(KEY);
  const state = new URLSearchParams(location.search).get("state");
  if (kept === null || state === null) return null;
  history.replaceState(null, "", `${location.pathname}${location.hash}`);
  const left = JSON.parse(kept) as { label: string; state: string };
  return left.state === state ? left.label : null;
}
