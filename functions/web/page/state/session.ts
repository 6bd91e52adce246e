/** Who is signed in, and whether the server can be reached. */

import { computed, effect, signal } from "@preact/signals";
import { Client } from "../api/client.ts";
import { isTransient, SignedOut } from "../api/errors.ts";
import type { IssuerLogout, Model, Tokens, User } from "../api/types.ts";
import { t } from "../text/index.ts";
import { issuerLogout, returnedFrom } from "./issuerLogout.ts";
import { notify } from "./notices.ts";
import { forgetUser, keepDraftsOf } from "./preferences.ts";

const RETRY_MS = 2000;

export const api = new Client();

/** `undefined` until the page knows, `null` if nobody is signed in. */
export const user = signal<User | null | undefined>(undefined);
export const hasEnded = signal(false);
/** The server demands a second factor that the session lacks: it may only add one. */
export const needsSecondFactor = signal(false);
export const isOffline = signal(false);
export const models = signal<Model[]>([]);
export const defaultModel = computed(
  () =>
    models.value.find((model) => model.id === user.value?.default_model) ?? models.value.find((model) => model.default),
);

const mayWork = computed(() => Boolean(user.value) && !needsSecondFactor.value);

// After a sign-in, and after any renewal with which the session has its second factor.
effect(() => {
  if (!mayWork.value) return;
  // Also wakes the function that answers, while the person still types.
  api
    .get<Model[]>("models")
    .then((found) => {
      models.value = found;
    })
    .catch(() => undefined);
});

api.onSignedOut = () => {
  hasEnded.value = Boolean(user.value);
  user.value = null;
};

api.onTokens = (tokens) => {
  needsSecondFactor.value = tokens.needs_second_factor ?? false;
  // Another tab has signed in somebody else, after this session had ended.
  if (user.value && user.value.id !== tokens.user.id) location.reload();
};

/** Resume the session of an earlier visit, waiting for the server if it cannot be reached or is starting. */
export async function resume(): Promise<void> {
  for (;;) {
    try {
      enter((await api.renew()).user);
      return;
    } catch (error) {
      if (!isTransient(error)) {
        user.value = null;
        return;
      }
      isOffline.value = true;
      await online();
    }
  }
}

/** Begin to work as this user. */
export function enter(signedIn: User): void {
  isOffline.value = false;
  hasEnded.value = false;
  issuerLogout.value = null;
  returnedFrom.value = null;
  keepDraftsOf(signedIn.id);
  user.value = signedIn;
}

/** The account has a second factor: the sign-in goes on with its code. */
export interface Challenge {
  challenge: string;
}

export async function signIn(path: string, body: unknown): Promise<"in" | "pending" | Challenge> {
  const answer = await api.sendPublic<Partial<Tokens & Challenge>>(path, body);
  if (answer?.user) {
    enter(answer.user);
    return "in";
  }
  return answer?.challenge ? { challenge: answer.challenge } : "pending";
}

/** End the session. If the server does not end it, a reload would resume it: the user stays signed in and is told. */
export async function signOut(everywhere = false): Promise<void> {
  let found: IssuerLogout | null = null;
  try {
    found = await api.signOut(everywhere);
  } catch (error) {
    if (!(error instanceof SignedOut)) {
      notify(t.errors.stillSignedIn, "error");
      return;
    }
  }
  leave();
  issuerLogout.value = found;
}

export function leave(): void {
  forgetUser();
  user.value = null;
  hasEnded.value = false;
  channel.postMessage({ kind: "signed-out" });
}

/** Wait until the server may be reachable again: when the browser says so, or a moment later. */
export function online(): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      clearTimeout(timer);
      removeEventListener("online", go);
      resolve();
    };
    const timer = setTimeout(go, RETRY_MS);
    addEventListener("online", go);
  });
}

/** Run `work` until it succeeds or fails for a reason that does not pass by itself. */
export async function persist<Result>(work: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      const result = await work();
      isOffline.value = false;
      return result;
    } catch (error) {
      if (!isTransient(error)) throw error;
      isOffline.value = true;
      await online();
    }
  }
}

export type TabMessage =
  | { kind: "signed-out" }
  | { kind: "turn"; conversationId: string; turnId: string }
  | { kind: "conversations" };

/** Messages between the tabs of this browser. */
export const channel = new BroadcastChannel("parley");
channel.addEventListener("message", (event: MessageEvent<TabMessage>) => {
  if (event.data.kind !== "signed-out") return;
  api.forget();
  user.value = null;
});
