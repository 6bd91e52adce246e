/** The list of conversations, and the search in it. */

import { computed, signal } from "@preact/signals";
import type { Conversation, FoundPassage, Page } from "../api/types.ts";
import { report } from "./notices.ts";
import { route } from "./router.ts";
import { api, channel, persist, type TabMessage } from "./session.ts";

const PAGE = 50;
const MAX_PINNED = 100;
const TITLE_DELAYS_MS = [1500, 4000, 10_000, 25_000];

export const conversations = signal<Conversation[]>([]);
export const isLoaded = signal(false);
const cursor = signal<string | null>(null);
let requestedList = 0;
let shownList = 0;
export const hasMore = computed(() => cursor.value !== null);

export const query = signal("");
export const found = signal<FoundPassage[] | null>(null);

export async function loadConversations(): Promise<void> {
  const number = ++requestedList;
  const [page, pinned] = await Promise.all([
    persist(() => api.get<Page<Conversation>>("conversations", { limit: PAGE })),
    persist(() => api.get<Page<Conversation>>("conversations", { limit: MAX_PINNED, pinned: true })),
  ]);
  const listed = new Set(page.items.map((conversation) => conversation.id));
  const read = [...page.items, ...pinned.items.filter((one) => !listed.has(one.id))];
  const unlisted = await openButUnlisted(read);
  // The response to an earlier request may arrive later.
  if (number < shownList) return;
  shownList = number;
  conversations.value = [...unlisted, ...read];
  cursor.value = page.next_cursor;
  isLoaded.value = true;
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
  const page = await api.get<Page<Conversation>>("conversations", { limit: PAGE, cursor: cursor.value });
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
  put(await api.patch<Conversation>(`conversations/${id}`, changes));
  channel.postMessage({ kind: "conversations" });
}

export async function deleteConversation(id: string): Promise<void> {
  await api.delete(`conversations/${id}`);
  conversations.value = conversations.value.filter((other) => other.id !== id);
  channel.postMessage({ kind: "conversations" });
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
