/** A tool call: one line while it runs and folded after, or a card while it waits for an approval. */

import { ApiError } from "../api/errors.ts";
import type { Tool } from "../api/types.ts";
import type { Chat } from "../state/chat.ts";
import { notify, report } from "../state/notices.ts";
import { api } from "../state/session.ts";
import type { ToolRun } from "../state/turn.ts";
import { t } from "../text/index.ts";
import { Button } from "./controls.tsx";
import { Icon } from "./Icon.tsx";

export function ToolLine({ run }: { run: ToolRun }) {
  const label = {
    running: t.tool.running,
    done: t.tool.done,
    failed: t.tool.failed,
    waiting: t.tool.waiting,
    asking: t.tool.asking,
  }[run.state];
  return (
    <details class={`tool is-${run.state}`}>
      <summary>
        <Icon name={run.state === "failed" ? "warning" : "tool"} size={16} />
        <span>{label(run.name)}</span>
        <code class="tool-brief">{brief(run)}</code>
        {run.state === "running" && (
          <span class="dots" aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
        )}
      </summary>
      <p class="tool-label">{t.tool.input}</p>
      <pre tabIndex={0}>{JSON.stringify(run.arguments, null, 2)}</pre>
      {run.result !== null && (
        <>
          <p class="tool-label">{t.tool.result}</p>
          <pre tabIndex={0} dir="auto">
            {run.result}
          </pre>
        </>
      )}
    </details>
  );
}

/** The arguments on one line. */
function brief(run: ToolRun): string {
  const values = Object.values(run.arguments).map((value) =>
    typeof value === "string" ? value : JSON.stringify(value),
  );
  return values.join(", ").slice(0, 120);
}

export function Approval({ run, chat }: { run: ToolRun; chat: Chat }) {
  const decide = (approve: boolean) => chat.decide(run.call_id, approve).catch(report);
  const always = async () => {
    try {
      const tool = await api.call<Tool>("PUT", `tools/${encodeURIComponent(run.name)}`, {
        body: { requires_approval: false },
      });
      if (tool.requires_approval) notify(t.tool.alwaysRefused);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      notify(t.tool.alwaysRefused);
    }
    await decide(true);
  };
  return (
    <section class="approval" aria-label={t.tool.waiting(run.name)}>
      <h3>
        <Icon name="shield" size={18} />
        {t.tool.ask(run.name)}
      </h3>
      <p class="hint">{t.tool.why}</p>
      <pre tabIndex={0} dir="auto">
        {JSON.stringify(run.arguments, null, 2)}
      </pre>
      <div class="form-actions">
        <Button kind="primary" icon="check" onClick={() => decide(true)}>
          {t.tool.once}
        </Button>
        <Button onClick={() => always().catch(report)}>{t.tool.always}</Button>
        <Button kind="quiet" onClick={() => decide(false)}>
          {t.tool.deny}
        </Button>
      </div>
    </section>
  );
}
