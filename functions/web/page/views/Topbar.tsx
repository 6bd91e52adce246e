import type { ComponentChildren } from "preact";
import { IconButton } from "../components/controls.tsx";
import { isSidebarOpen } from "../state/router.ts";
import { t } from "../text/index.ts";

/** The head of every screen: its title, unless the screen has its own, and on a phone the button that opens the list. */
export function Topbar({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <header class="topbar">
      <IconButton icon="menu" label={t.sidebar.open} class="only-phone" onClick={() => (isSidebarOpen.value = true)} />
      {title && <h1 dir="auto">{title}</h1>}
      <div class="topbar-end">{children}</div>
    </header>
  );
}
