/** The user's documents, and their upload. */

import { signal } from "@preact/signals";
import { ApiError, Offline } from "../api/errors.ts";
import type { DocumentInfo, Page, UploadForm } from "../api/types.ts";
import { explain } from "../text/format.ts";
import { t } from "../text/index.ts";
import { notify } from "./notices.ts";
import { api, persist } from "./session.ts";

/** Larger files go directly to the store, because the gateway takes no larger requests. */
const MAX_DIRECT_BYTES = 4_000_000;
const POLL_MS = 1500;

/** What the file dialog offers; the server decides by the content. */
export const documentTypes = [
  "image/png,image/jpeg,image/gif,image/webp,.txt,.md,.html,.pdf,.docx,.csv,.json",
  ".py,.js,.ts,.java,.go,.rs,.c,.h,.cpp,.sql,.yaml,.yml,.toml,.sh,.log",
].join(",");

export const documents = signal<DocumentInfo[] | null>(null);
const cursor = signal<string | null>(null);

export const hasMoreDocuments = () => cursor.value !== null;

export async function loadDocuments(): Promise<void> {
  const page = await persist(() => api.get<Page<DocumentInfo>>("documents", { limit: 50 }));
  documents.value = page.items;
  cursor.value = page.next_cursor;
}

export async function loadMoreDocuments(): Promise<void> {
  const page = await api.get<Page<DocumentInfo>>("documents", { limit: 50, cursor: cursor.value });
  documents.value = [...(documents.value ?? []), ...page.items];
  cursor.value = page.next_cursor;
}

/** Upload a file and return its document, or undefined if it was refused, which the user is told. */
export async function uploadDocument(file: File): Promise<DocumentInfo | undefined> {
  try {
    if (file.size > MAX_DIRECT_BYTES && !(await maySendToStore())) {
      notify(t.documents.tooLarge(file.name), "error");
      return undefined;
    }
    const added = file.size > MAX_DIRECT_BYTES ? await sendToStore(file) : await sendToApi(file);
    put(added);
    return added;
  } catch (error) {
    if (!(error instanceof ApiError || error instanceof Offline)) throw error;
    notify(t.documents.refused(file.name, explain(error)), "error");
    return undefined;
  }
}

function sendToApi(file: File): Promise<DocumentInfo> {
  const form = new FormData();
  form.append("file", file);
  return api.call<DocumentInfo>("POST", "documents", { form, idempotencyKey: crypto.randomUUID() });
}

/** Announce a file, and post it to the store with the form that the API returns. Throws Offline if the store cannot be reached. */
async function sendToStore(file: File): Promise<DocumentInfo> {
  const body = { filename: file.name, content_type: file.type || "application/octet-stream", bytes: file.size };
  const announced = await api.call<UploadForm>("POST", "documents/uploads", {
    body,
    idempotencyKey: crypto.randomUUID(),
  });
  if (!(await postToStore(announced, file))) {
    await api.delete(`documents/${announced.id}`).catch(() => null);
    throw new Offline();
  }
  return api.get<DocumentInfo>(`documents/${announced.id}`);
}

/** Post a file to the store with the form of its announcement, and return whether the store has it. */
export async function postToStore(announced: UploadForm, file: File): Promise<boolean> {
  const form = new FormData();
  for (const [name, value] of Object.entries(announced.fields)) form.append(name, value);
  form.append("file", file);
  const sent = fetch(announced.upload_url, { method: "POST", body: form, credentials: "omit" });
  return (await sent.catch(() => null))?.ok ?? false;
}

/** Whether the page's policy allows requests to another origin than its own: only a response's header tells. */
export async function maySendToStore(): Promise<boolean> {
  const response = await fetch(document.baseURI, { cache: "no-cache" });
  const sources = /connect-src ([^;]*)/.exec(response.headers.get("Content-Security-Policy") ?? "")?.[1] ?? "";
  return sources.trim() !== "'self'";
}

export function put(changed: DocumentInfo): void {
  if (documents.value === null) return;
  const isKnown = documents.value.some((one) => one.id === changed.id);
  documents.value = isKnown
    ? documents.value.map((one) => (one.id === changed.id ? changed : one))
    : [changed, ...documents.value];
}

export function drop(id: string): void {
  documents.value = documents.value?.filter((one) => one.id !== id) ?? null;
}

/** Read the documents that are being ingested again and again, until the returned function is called. */
export function watchProgress(): () => void {
  const timer = setInterval(async () => {
    const open = documents.value?.filter((one) => one.status === "queued" || one.status === "processing") ?? [];
    for (const one of open) {
      const current = await api.get<DocumentInfo>(`documents/${one.id}`).catch(() => null);
      if (current) put(current);
    }
  }, POLL_MS);
  return () => clearInterval(timer);
}
