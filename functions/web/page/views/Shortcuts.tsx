import { Dialog } from "../components/overlays.tsx";
import { t } from "../text/index.ts";

export function Shortcuts({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={t.shortcuts.title} onClose={onClose}>
      <dl class="shortcuts">
        {t.shortcuts.list.map(([keys, action]) => (
          <div key={keys + action}>
            <dt>
              {keys.split(" ").map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{action}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
