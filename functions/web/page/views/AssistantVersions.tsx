/** The versions of an assistant, each of which can be restored. */

import { useEffect, useState } from "preact/hooks";
import type { Assistant, AssistantVersion, Page } from "../api/types.ts";
import { Button, Spinner } from "../components/controls.tsx";
import { Dialog } from "../components/overlays.tsx";
import { loadAssistants } from "../state/assistants.ts";
import { report } from "../state/notices.ts";
import { api } from "../state/session.ts";
import { date } from "../text/format.ts";
import { t } from "../text/index.ts";

export function AssistantVersions({ assistant, close }: { assistant: Assistant; close: () => void }) {
  const [versions, setVersions] = useState<AssistantVersion[] | null>(null);
  const path = `assistants/${assistant.id}`;
  const load = async () => {
    // The server keeps 50 versions.
    const page = await api.get<Page<AssistantVersion>>(`${path}/versions`, { limit: 50 });
    setVersions(page.items);
  };
  useEffect(() => {
    load().catch(report);
  }, []);
  const restore = async (version: number) => {
    await api.post(`${path}/rollback`, { version });
    await load();
    await loadAssistants();
  };
  return (
    <Dialog title={assistant.name} onClose={close} wide>
      {versions === null && <Spinner label={t.common.loading} />}
      <ul class="cards">
        {versions?.map((one, index) => (
          <li key={one.version} class="card">
            <div class="card-text">
              <p class="card-title">{t.assistants.version(one.version, date(one.created_at))}</p>
              <p class="hint" dir="auto">
                {one.instructions.slice(0, 200)}
              </p>
            </div>
            {index > 0 && (
              <Button onClick={() => restore(one.version).catch(report)}>{t.assistants.restore(one.version)}</Button>
            )}
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
