/** The list of conversations, its filter and selection, and the search in it. */

import { computed, signal } from "@preact/signals";
import type { BulkChange, BulkResults, Conversation, FoundPassage, Page } from "../api/types.ts";
import { t } from "../text/index.ts";
import { notify, report } from "./notices.ts";
import { route } from "./router.ts";
import { api, channel, persist, type TabMessage } from "./session.ts";

const PAGE = 50;
const MAX_PINNED = 100;
const MAX_CHANGED_AT_ONCE = 100;
const TITLE_DELAYS_MS = [1500, 4000, 10_000, 25_000];

export const conversations = signal<Conversation[]>([]);
export const isLoaded = signal(false);
const cursor = signal<string | null>(null);
let requestedList = 0;
let shownList = 0;
export const hasMore = computed(() => cursor.value !== null);

/** The part of the list that is shown: the archive, conversations with a tag or in a project, or all that are not archived. */
export interface ListFilter {
  archived?: true;
  tag?: string;
  project_id?: string;
}

export const filter = signal<ListFilter>({});
/** The conversations that are selected for a change of many, or null while none can be selected. */
export const selection = signal<ReadonlySet<string> | null>(null);
/** The tags of the conversations read so far, in alphabetical order. */
export const knownTags = signal<string[]>([]);

export const NEW_CONVERSATION = {
  title: null,
  model: null,
  system_prompt: null,
  is_pinned: false,
  is_archived: false,
  tags: [] as string[],
  project_id: null,
};

export const query = signal("");
export const found = signal<FoundPassage[] | null>(null);

export async function loadConversations(): Promise<void> {
  const number = ++requestedList;
  const [page, pinned] = await Promise.all([
    persist(() => api.get<Page<Conversation>>("conversations", { limit: PAGE, ...filter.value })),
    persist(() => api.get<Page<Conversation>>("conversations", { limit: MAX_PINNED, pinned: true, ...filter.value })),
  ]);
  const listed = new Set(page.items.map((conversation) => conversation.id));
  const read = [...page.items, ...pinned.items.filter((one) => !listed.has(one.id))];
  const unlisted = await openButUnlisted(read);
  // The response to an earlier request may arrive later.
  if (number < shownList) return;
  shownList = number;
  conversations.value = [...unlisted, ...read];
  learnTags(read);
  cursor.value = page.next_cursor;
  isLoaded.value = true;
}

function learnTags(read: Conversation[]): void {
  const tags = new Set([...knownTags.value, ...read.flatMap((conversation) => conversation.tags)]);
  if (tags.size > knownTags.value.length) knownTags.value = [...tags].sort((one, other) => one.localeCompare(other));
}

/** Whether the filter shows this conversation. The list also holds the open conversation, which may be in the archive. */
export function isListed(conversation: Conversation): boolean {
  const { archived = false, tag, project_id } = filter.value;
  const isInside = project_id === undefined || conversation.project_id === project_id;
  return conversation.is_archived === archived && isInside && (tag === undefined || conversation.tags.includes(tag));
}

/** Show another part of the list. */
export function showOnly(wanted: ListFilter): void {
  filter.value = wanted;
  selection.value = null;
  cursor.value = null;
  loadConversations().catch(report);
}

/** The open conversation, if it is too old for the list. It is read again, since another tab may have deleted it. */
async function openButUnlisted(listed: Conversation[]): Promise<Conversation[]> {
  const id = route.value.view === "chat" ? route.value.id : null;
  if (id === null || listed.some((one) => one.id === id)) return [];
  const conversation = await api.get<Conversation>(`conversations/${id}`).catch(() => null);
  return conversation === null ? [] : [conversation];
}

export async function loadMoreConversations(): Promise<void> {
  if (cursor.value === null) return;
  const page = await api.get<Page<Conversation>>("conversations", {
    limit: PAGE,
    cursor: cursor.value,
    ...filter.value,
  });
  learnTags(page.items);
  const known = new Set(conversations.value.map((conversation) => conversation.id));
  conversations.value = [...conversations.value, ...page.items.filter((one) => !known.has(one.id))];
  cursor.value = page.next_cursor;
}

export function clearConversations(): void {
  // A list that is still on its way belongs to the previous user.
  shownList = ++requestedList;
  conversations.value = [];
  isLoaded.value = false;
  cursor.value = null;
  filter.value = {};
  selection.value = null;
  knownTags.value = [];
  query.value = "";
  found.value = null;
}

/** Put a conversation at the top of the list, or at its place if it is pinned. */
export function touch(conversation: Conversation): void {
  conversations.value = [conversation, ...conversations.value.filter((other) => other.id !== conversation.id)];
}

function put(conversation: Conversation): void {
  conversations.value = conversations.value.map((other) => (other.id === conversation.id ? conversation : other));
}

export async function changeConversation(id: string, changes: Partial<Conversation>): Promise<void> {
  const changed = await api.patch<Conversation>(`conversations/${id}`, changes);
  put(changed);
  learnTags([changed]);
  channel.postMessage({ kind: "conversations" });
}

export async function deleteConversation(id: string): Promise<void> {
  await api.delete(`conversations/${id}`);
  conversations.value = conversations.value.filter((other) => other.id !== id);
  channel.postMessage({ kind: "conversations" });
}

/** Select a conversation for a change of many, or take it out of the selection. */
export function toggleSelection(id: string): void {
  const chosen = new Set(selection.value);
  if (!chosen.delete(id)) chosen.add(id);
  selection.value = chosen;
}

/** Change the selected conversations, and end the selection. The user is told if one could not be changed. */
export async function changeSelection(change: BulkChange): Promise<void> {
  const ids = [...(selection.value ?? [])];
  let full = 0;
  for (let start = 0; start < ids.length; start += MAX_CHANGED_AT_ONCE) {
    const body = { ...change, ids: ids.slice(start, start + MAX_CHANGED_AT_ONCE) };
    const results = await api.post<BulkResults>("conversations/bulk", body);
    full += results.items.filter((one) => one.outcome === "too_many_tags").length;
  }
  selection.value = null;
  await loadConversations();
  channel.postMessage({ kind: "conversations" });
  if (full > 0) notify(t.sidebar.fullOfTags(full), "error");
}

/** Read a conversation again until its title is written, which happens soon after the first answer. */
export async function awaitTitle(id: string): Promise<void> {
  for (const delay of TITLE_DELAYS_MS) {
    await new Promise((resolve) => setTimeout(resolve, delay));
    const conversation = await api.get<Conversation>(`conversations/${id}`).catch(() => null);
    if (conversation === null) return;
    if (conversation.title) return put(conversation);
  }
}

let searchNumber = 0;

/** Search titles in the list at once, and messages by words and meaning on the server. */
export async function search(text: string): Promise<void> {
  query.value = text;
  const number = ++searchNumber;
  if (text.trim().length < 2) {
    found.value = null;
    return;
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
  if (number !== searchNumber) return;
  try {
    const page = await api.get<Page<FoundPassage>>("conversations/search", { q: text.trim(), limit: 20 });
    if (number === searchNumber) found.value = page.items;
  } catch (error) {
    report(error);
  }
}

channel.addEventListener("message", (event: MessageEvent<TabMessage>) => {
  if (event.data.kind === "conversations" && isLoaded.value) loadConversations().catch(report);
});
