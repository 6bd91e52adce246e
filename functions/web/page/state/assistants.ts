/** The assistants that the user may use, and the one chosen for the next new chat. */

import { computed, signal } from "@preact/signals";
import type { Assistant, Page } from "../api/types.ts";
import { api, persist } from "./session.ts";

const PAGE = 100;

export const assistants = signal<Assistant[] | null>(null);
/** The assistant of the chat that has not begun. */
export const chosenId = signal<string | null>(null);
export const chosen = computed(() => assistants.value?.find((one) => one.id === chosenId.value) ?? null);

export async function loadAssistants(): Promise<void> {
  const page = await persist(() => api.get<Page<Assistant>>("assistants", { limit: PAGE }));
  assistants.value = page.items;
}

export function forgetAssistants(): void {
  assistants.value = null;
  chosenId.value = null;
}
