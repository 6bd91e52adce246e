/** The filter of the list of conversations, the tags of a conversation, and changes of the selected conversations. */

import type { BulkChange, Conversation } from "../api/types.ts";
import { Field, Form, IconButton } from "../components/controls.tsx";
import { confirmDeletion, Dialog, Menu, type MenuItem, openDialog } from "../components/overlays.tsx";
import { changeConversation, changeSelection, filter, knownTags, selection, showOnly } from "../state/conversations.ts";
import { report } from "../state/notices.ts";
import { nameOf, projects } from "../state/projects.ts";
import { t } from "../text/index.ts";

const MAX_OFFERED = 20;
const MAX_TAG_LENGTH = 40;
const MAX_TAGS_LENGTH = 20 * (MAX_TAG_LENGTH + 2);

export function FilterMenu() {
  const items: MenuItem[] = knownTags.value
    .slice(0, MAX_OFFERED)
    .map((tag) => ({ icon: "tag", label: tag, onSelect: () => showOnly({ tag }) }));
  for (const { id, name } of projects.value?.slice(0, MAX_OFFERED) ?? []) {
    items.push({ icon: "folder", label: name, onSelect: () => showOnly({ project_id: id }) });
  }
  items.push({ icon: "archive", label: t.sidebar.archived, onSelect: () => showOnly({ archived: true }) });
  return <Menu label={t.sidebar.filter} icon="filter" items={items} />;
}

/** The filter in use, with a button that ends it. */
export function FilterBar() {
  const { archived, tag, project_id } = filter.value;
  if (!archived && tag === undefined && project_id === undefined) return null;
  const label = archived ? t.sidebar.archived : tag === undefined ? nameOf(project_id ?? "") : `#${tag}`;
  return (
    <p class="filter-bar" role="status">
      <span dir="auto">{label}</span>
      <IconButton icon="close" label={t.sidebar.showAll} size={16} onClick={() => showOnly({})} />
    </p>
  );
}

/** What can be done with the selected conversations. */
export function SelectionBar() {
  const chosen = selection.value;
  if (chosen === null) return null;
  const { archived = false } = filter.value;
  const change = (wanted: BulkChange) => changeSelection(wanted).catch(report);
  const remove = () => change({ action: "delete" });
  return (
    <div class="selection-bar" role="group" aria-label={t.sidebar.selection}>
      <span role="status">{t.sidebar.selected(chosen.size)}</span>
      <IconButton
        icon="archive"
        label={archived ? t.sidebar.unarchive : t.sidebar.archive}
        disabled={chosen.size === 0}
        onClick={() => change({ action: archived ? "unarchive" : "archive" })}
      />
      <IconButton
        icon="tag"
        label={t.sidebar.addTag}
        disabled={chosen.size === 0}
        onClick={() => openDialog((close) => <AddTag close={close} />)}
      />
      <IconButton
        icon="folder"
        label={t.sidebar.move}
        disabled={chosen.size === 0}
        onClick={() =>
          openDialog((close) => (
            <Move close={close} initial={null} move={(id) => changeSelection({ action: "move", project_id: id })} />
          ))
        }
      />
      <IconButton
        icon="trash"
        label={t.common.delete}
        disabled={chosen.size === 0}
        onClick={() => confirmDeletion(t.sidebar.deleteManyTitle, t.sidebar.deleteManyLead(chosen.size), remove)}
      />
      <IconButton icon="close" label={t.sidebar.endSelection} onClick={() => (selection.value = null)} />
    </div>
  );
}

export function MoveOne({ conversation, close }: { conversation: Conversation; close: () => void }) {
  const move = (id: string | null) => changeConversation(conversation.id, { project_id: id });
  return <Move close={close} initial={conversation.project_id} move={move} />;
}

interface MoveProps {
  initial: string | null;
  move: (projectId: string | null) => Promise<void>;
  close: () => void;
}

/** Choose a project, or none. */
function Move({ initial, move, close }: MoveProps) {
  return (
    <Dialog title={t.sidebar.move} onClose={close}>
      <Form
        submit={t.common.save}
        onSubmit={async ({ project }) => {
          await move(project || null);
          close();
        }}
      >
        <div class="field">
          <label for="project-choice">{t.projects.one}</label>
          <select id="project-choice" name="project">
            <option value="">{t.common.none}</option>
            {projects.value?.map((project) => (
              <option key={project.id} value={project.id} selected={project.id === initial}>
                {project.name}
              </option>
            ))}
          </select>
        </div>
      </Form>
    </Dialog>
  );
}

function AddTag({ close }: { close: () => void }) {
  return (
    <Dialog title={t.sidebar.addTag} onClose={close}>
      <Form
        submit={t.common.save}
        onSubmit={async ({ tag = "" }) => {
          await changeSelection({ action: "tag", tag });
          close();
        }}
      >
        <Field label={t.sidebar.tag} name="tag" required maxLength={MAX_TAG_LENGTH} autofocus dir="auto" />
      </Form>
    </Dialog>
  );
}

/** The tags of one conversation, as a text with commas. */
export function Tags({ conversation, close }: { conversation: Conversation; close: () => void }) {
  return (
    <Dialog title={t.sidebar.tagsTitle} onClose={close}>
      <Form
        submit={t.common.save}
        onSubmit={async ({ tags = "" }) => {
          const wanted = tags.split(",").map((tag) => tag.trim());
          await changeConversation(conversation.id, { tags: wanted.filter(Boolean) });
          close();
        }}
      >
        <Field
          label={t.sidebar.tags}
          hint={t.sidebar.tagsHint}
          name="tags"
          defaultValue={conversation.tags.join(", ")}
          maxLength={MAX_TAGS_LENGTH}
          autofocus
          dir="auto"
        />
      </Form>
    </Dialog>
  );
}
