/** The user's assistants and those shared with the user. */

import { useEffect } from "preact/hooks";
import type { Assistant } from "../api/types.ts";
import { Button, Empty, Spinner } from "../components/controls.tsx";
import { Icon } from "../components/Icon.tsx";
import { Menu, type MenuItem, openDialog } from "../components/overlays.tsx";
import { assistants, chosenId, loadAssistants } from "../state/assistants.ts";
import { report } from "../state/notices.ts";
import { href, navigate } from "../state/router.ts";
import { t } from "../text/index.ts";
import { AssistantEditor } from "./AssistantEditor.tsx";
import { ownerMenu } from "./ownerMenu.tsx";
import { Topbar } from "./Topbar.tsx";

export function AssistantsView() {
  useEffect(() => {
    loadAssistants().catch(report);
  }, []);
  return (
    <div class="screen">
      <Topbar title={t.assistants.title} />
      <div class="screen-body">
        <div class="screen-head">
          <p class="lead">{t.assistants.lead}</p>
          <Button
            kind="primary"
            icon="plus"
            onClick={() => openDialog((close) => <AssistantEditor id={null} close={close} />)}
          >
            {t.assistants.add}
          </Button>
        </div>
        {assistants.value === null && <Spinner label={t.common.loading} />}
        {assistants.value?.length === 0 && (
          <Empty icon="spark" title={t.assistants.empty} lead={t.assistants.emptyLead} />
        )}
        <ul class="cards">
          {assistants.value?.map((one) => (
            <AssistantCard key={one.id} assistant={one} />
          ))}
        </ul>
      </div>
    </div>
  );
}

function AssistantCard({ assistant }: { assistant: Assistant }) {
  const details = [
    assistant.description ?? "",
    assistant.model ?? "",
    assistant.shared ? t.documents.shared : "",
    assistant.owner ? t.groups.sharedBy(assistant.owner.display_name ?? assistant.owner.email) : "",
  ];
  const start = () => {
    chosenId.value = assistant.id;
    navigate(href.chat(null));
  };
  return (
    <li class="card">
      <span class="card-icon" aria-hidden="true">
        {assistant.picture ?? <Icon name="spark" size={22} />}
      </span>
      <div class="card-text">
        <p class="card-title" dir="auto">
          {assistant.name}
        </p>
        <p class="hint">{details.filter(Boolean).join(" · ")}</p>
      </div>
      <Button onClick={start}>{t.assistants.start}</Button>
      {assistant.is_own && <Menu label={t.assistants.options(assistant.name)} items={menuItems(assistant)} />}
    </li>
  );
}

function menuItems(assistant: Assistant): MenuItem[] {
  return ownerMenu({
    path: `assistants/${assistant.id}`,
    title: assistant.name,
    shared: assistant.shared,
    shareLead: t.assistants.shareLead,
    deleteTitle: t.assistants.deleteTitle,
    deleteLead: t.assistants.deleteLead(assistant.name),
    editor: (close) => <AssistantEditor id={assistant.id} close={close} />,
    reload: loadAssistants,
  });
}
