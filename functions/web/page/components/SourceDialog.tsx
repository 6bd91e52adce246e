/** What an answer cites: a passage of a document with its neighbours, highlighted, or the excerpt of a web page with its address. */

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/errors.ts";
import type { Chunk, DocumentSource, Page, Source, WebSource } from "../api/types.ts";
import { report } from "../state/notices.ts";
import { href } from "../state/router.ts";
import { api } from "../state/session.ts";
import { t } from "../text/index.ts";
import { Spinner } from "./controls.tsx";
import { Dialog } from "./overlays.tsx";

const MAX_PAGES = 20;

export function SourceDialog({ source, onClose }: { source: Source; onClose: () => void }) {
  return "url" in source ? (
    <WebPage source={source} onClose={onClose} />
  ) : (
    <Passages source={source} onClose={onClose} />
  );
}

function WebPage({ source, onClose }: { source: WebSource; onClose: () => void }) {
  const isWeb = /^https?:\/\//.test(source.url);
  return (
    <Dialog title={source.title} onClose={onClose} wide>
      <blockquote class="passage-text" dir="auto">
        {source.snippet}
      </blockquote>
      {isWeb && (
        <p>
          <a href={source.url} target="_blank" rel="noopener noreferrer nofollow">
            {source.url}
          </a>
        </p>
      )}
    </Dialog>
  );
}

function Passages({ source, onClose }: { source: DocumentSource; onClose: () => void }) {
  const [chunks, setChunks] = useState<Chunk[] | null>(null);
  const cited = useRef<HTMLElement>(null);
  useEffect(() => {
    around(source).then(setChunks, (error) => {
      if (!(error instanceof ApiError && error.status === 404)) report(error);
      setChunks([]);
    });
  }, [source]);
  useEffect(() => cited.current?.scrollIntoView({ block: "center" }), [chunks]);
  return (
    <Dialog title={source.title} onClose={onClose} wide>
      {source.page !== null && <p class="hint">{t.chat.page(source.page)}</p>}
      {chunks === null && <Spinner label={t.common.loading} />}
      {chunks?.length === 0 && (
        <blockquote class="passage-text" dir="auto">
          <mark>{source.snippet}</mark>
        </blockquote>
      )}
      <div class="passages" tabIndex={0} role="region" aria-label={t.documents.passages}>
        {chunks?.map((chunk) =>
          chunk.chunk_id === source.chunk_id ? (
            <p key={chunk.chunk_id} class="passage-text is-cited" dir="auto">
              <mark ref={cited}>{chunk.text}</mark>
            </p>
          ) : (
            <p key={chunk.chunk_id} class="passage-text" dir="auto">
              {chunk.text}
            </p>
          ),
        )}
      </div>
      <p>
        <a href={href.documents(source.document_id)} onClick={onClose}>
          {t.sidebar.documents}
        </a>
      </p>
    </Dialog>
  );
}

/** Return the cited chunk with one chunk before and after it. */
async function around(source: DocumentSource): Promise<Chunk[]> {
  let chunks: Chunk[] = [];
  let cursor: string | null = null;
  for (let number = 0; number < MAX_PAGES; number++) {
    const page: Page<Chunk> = await api.get<Page<Chunk>>(`documents/${source.document_id}/chunks`, {
      limit: 100,
      cursor,
    });
    chunks = [...chunks.slice(-2), ...page.items];
    const at = chunks.findIndex((chunk) => chunk.chunk_id === source.chunk_id);
    if (at >= 0 && (at < chunks.length - 1 || page.next_cursor === null))
      return chunks.slice(Math.max(0, at - 1), at + 2);
    if (page.next_cursor === null) return [];
    cursor = page.next_cursor;
  }
  return [];
}
