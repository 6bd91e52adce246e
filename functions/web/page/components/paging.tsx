/** Lists of the API that a screen shows page by page. */

import { useEffect, useState } from "preact/hooks";
import type { Page } from "../api/types.ts";
import { report } from "../state/notices.ts";
import { api } from "../state/session.ts";
import { t } from "../text/index.ts";
import { Button } from "./controls.tsx";

/** Items of a list, page by page. `more` is the button that reads the next page, if there is one. */
export function usePages<Item>(path: string, query: Record<string, string> = {}) {
  const [items, setItems] = useState<Item[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const key = JSON.stringify(query);
  const load = async (after: string | null = null) => {
    const page = await api.get<Page<Item>>(path, { ...query, limit: 50, cursor: after });
    setItems((before) => (after === null ? page.items : [...(before ?? []), ...page.items]));
    setCursor(page.next_cursor);
  };
  useEffect(() => {
    load().catch(report);
  }, [path, key]);
  const more = cursor !== null && (
    <Button kind="quiet" onClick={() => load(cursor).catch(report)}>
      {t.common.more}
    </Button>
  );
  return { items, setItems, reload: () => load(), more };
}
