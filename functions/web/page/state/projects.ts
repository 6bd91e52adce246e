/** The user's projects: folders of conversations with instructions and documents of their own. */

import { signal } from "@preact/signals";
import type { Page, Project, ProjectChanges } from "../api/types.ts";
import { conversations, filter, loadConversations, showOnly } from "./conversations.ts";
import { api, persist } from "./session.ts";

/** A user has at most 200, and a page holds 100. */
const PAGE = 100;

export const projects = signal<Project[] | null>(null);

export async function loadProjects(): Promise<void> {
  const read: Project[] = [];
  let cursor: string | null = null;
  do {
    const query: { limit: number; cursor: string | null } = { limit: PAGE, cursor };
    const page: Page<Project> = await persist(() => api.get<Page<Project>>("projects", query));
    read.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
  projects.value = read;
}

export async function saveProject(id: string | null, changes: ProjectChanges): Promise<void> {
  if (id === null) await api.post<Project>("projects", changes, { idempotencyKey: crypto.randomUUID() });
  else await api.patch<Project>(`projects/${id}`, changes);
  await loadProjects();
}

export async function deleteProject(id: string, { withConversations }: { withConversations: boolean }): Promise<void> {
  await api.call("DELETE", `projects/${id}`, { query: { conversations: withConversations ? "delete" : "keep" } });
  if (filter.value.project_id === id) showOnly({});
  else if (conversations.value.some((one) => one.project_id === id)) await loadConversations();
  await loadProjects();
}

export function nameOf(id: string): string {
  return projects.value?.find((one) => one.id === id)?.name ?? "";
}
