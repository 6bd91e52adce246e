/** The prompts that the user may use. */

import { signal } from "@preact/signals";
import type { Page, Prompt } from "../api/types.ts";
import { api, persist } from "./session.ts";

const PAGE = 100;

export const prompts = signal<Prompt[] | null>(null);

export async function loadPrompts(): Promise<void> {
  const read: Prompt[] = [];
  let cursor: string | null = null;
  do {
    const query: { limit: number; cursor: string | null } = { limit: PAGE, cursor };
    const page: Page<Prompt> = await persist(() => api.get<Page<Prompt>>("prompts", query));
    read.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
  prompts.value = read;
}

/** Return the text of a prompt with these values. */
export async function fillPrompt(id: string, values: Record<string, string>): Promise<string> {
  return (await api.post<{ text: string }>(`prompts/${id}/fill`, { values })).text;
}
