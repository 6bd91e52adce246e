/** The versions of an assistant or a prompt, each of which can be restored. */

import { useEffect, useState } from "preact/hooks";
import type { AssistantVersion, Page, PromptVersion } from "../api/types.ts";
import { Button, Spinner } from "../components/controls.tsx";
import { Dialog } from "../components/overlays.tsx";
import { report } from "../state/notices.ts";
import { api } from "../state/session.ts";
import { date } from "../text/format.ts";
import { t } from "../text/index.ts";

interface VersionsProps {
  /** The path of the assistant or prompt. */
  path: string;
  title: string;
  reload: () => Promise<void>;
  close: () => void;
}

export function Versions({ path, title, reload, close }: VersionsProps) {
  const [versions, setVersions] = useState<(AssistantVersion | PromptVersion)[] | null>(null);
  const load = async () => {
    // The server keeps 50 versions.
    const page = await api.get<Page<AssistantVersion | PromptVersion>>(`${path}/versions`, { limit: 50 });
    setVersions(page.items);
  };
  useEffect(() => {
    load().catch(report);
  }, []);
  const restore = async (version: number) => {
    await api.post(`${path}/rollback`, { version });
    await load();
    await reload();
  };
  return (
    <Dialog title={title} onClose={close} wide>
      {versions === null && <Spinner label={t.common.loading} />}
      <ul class="cards">
        {versions?.map((one, index) => (
          <li key={one.version} class="card">
            <div class="card-text">
              <p class="card-title">{t.versions.version(one.version, date(one.created_at))}</p>
              <p class="hint" dir="auto">
                {("text" in one ? one.text : one.instructions).slice(0, 200)}
              </p>
            </div>
            {index > 0 && (
              <Button onClick={() => restore(one.version).catch(report)}>{t.versions.restore(one.version)}</Button>
            )}
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
