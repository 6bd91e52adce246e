/** The list of conversations, its search, and the way to the other screens. */

import type { Conversation } from "../api/types.ts";
import { Field, Form, IconButton } from "../components/controls.tsx";
import { Icon, type IconName, Mark } from "../components/Icon.tsx";
import { Marked } from "../components/Marked.tsx";
import { confirmDeletion, Dialog, Menu, openDialog } from "../components/overlays.tsx";
import { ShareDialog } from "../components/ShareDialog.tsx";
import {
  changeConversation,
  conversations,
  deleteConversation,
  found,
  hasMore,
  isListed,
  isLoaded,
  loadMoreConversations,
  query,
  search,
  selection,
  toggleSelection,
} from "../state/conversations.ts";
import { report } from "../state/notices.ts";
import { href, isSidebarOpen, navigate, route } from "../state/router.ts";
import { signOut, user } from "../state/session.ts";
import { ageOf, date } from "../text/format.ts";
import { t } from "../text/index.ts";
import { FilterBar, FilterMenu, MoveOne, SelectionBar, Tags } from "./SidebarFilter.tsx";

export function Sidebar() {
  return (
    <nav class="sidebar" aria-label={t.sidebar.label}>
      <header class="sidebar-head">
        <a class="brand" href={href.chat(null)}>
          <Mark size={26} />
          <span>{t.brand}</span>
        </a>
        <IconButton
          icon="close"
          label={t.sidebar.close}
          class="only-phone"
          onClick={() => (isSidebarOpen.value = false)}
        />
      </header>
      <a class="button is-soft new-chat" href={href.chat(null)}>
        <Icon name="plus" size={18} />
        <span>{t.sidebar.newChat}</span>
      </a>
      <div class="search">
        <Icon name="search" size={18} />
        <input
          type="search"
          aria-label={t.sidebar.search}
          placeholder={t.common.search}
          value={query.value}
          onInput={(event) => search(event.currentTarget.value)}
        />
        <FilterMenu />
      </div>
      <FilterBar />
      <div class="sidebar-list">{query.value.trim() ? <Results /> : <Groups />}</div>
      <SelectionBar />
      <Footer />
    </nav>
  );
}

function Groups() {
  const listed = conversations.value.filter(isListed);
  if (isLoaded.value && listed.length === 0 && !hasMore.value) {
    return <p class="hint sidebar-empty">{t.sidebar.empty}</p>;
  }
  const groups = { pinned: [], today: [], yesterday: [], week: [], older: [] } as Record<string, Conversation[]>;
  for (const one of listed) groups[one.is_pinned ? "pinned" : ageOf(one.updated_at)]?.push(one);
  return (
    <>
      {Object.entries(groups).map(
        ([name, items]) =>
          items.length > 0 && (
            <section key={name} class="group">
              <h2>{t.sidebar[name as "pinned" | "today"]}</h2>
              <ul>
                {items.map((one) => (
                  <Entry key={one.id} conversation={one} />
                ))}
              </ul>
            </section>
          ),
      )}
      {hasMore.value && (
        <button type="button" class="button is-quiet more-button" onClick={() => loadMoreConversations().catch(report)}>
          {t.common.more}
        </button>
      )}
    </>
  );
}

function Entry({ conversation }: { conversation: Conversation }) {
  const { id } = conversation;
  const title = conversation.title ?? t.sidebar.untitled;
  const isCurrent = route.value.view === "chat" && route.value.id === id;
  const remove = async () => {
    await deleteConversation(id).catch(report);
    if (isCurrent) navigate(href.chat(null));
  };
  if (selection.value !== null) {
    return (
      <li class="entry-row">
        <label class="entry-choice" dir="auto">
          <input type="checkbox" checked={selection.value.has(id)} onChange={() => toggleSelection(id)} />
          <span>{title}</span>
        </label>
      </li>
    );
  }
  return (
    <li class={isCurrent ? "entry-row is-current" : "entry-row"}>
      <a href={href.chat(id)} aria-current={isCurrent ? "page" : undefined} dir="auto" title={title}>
        {title}
        {conversation.tags.map((tag) => (
          <small key={tag} class="entry-tag">
            #{tag}
          </small>
        ))}
      </a>
      <Menu
        label={t.sidebar.options(title)}
        items={[
          {
            icon: "pin",
            label: conversation.is_pinned ? t.sidebar.unpin : t.sidebar.pin,
            onSelect: () => changeConversation(id, { is_pinned: !conversation.is_pinned }).catch(report),
          },
          {
            icon: "edit",
            label: t.sidebar.rename,
            onSelect: () => openDialog((close) => <Rename conversation={conversation} close={close} />),
          },
          {
            icon: "tag",
            label: t.sidebar.tags,
            onSelect: () => openDialog((close) => <Tags conversation={conversation} close={close} />),
          },
          {
            icon: "archive",
            label: conversation.is_archived ? t.sidebar.unarchive : t.sidebar.archive,
            onSelect: () => changeConversation(id, { is_archived: !conversation.is_archived }).catch(report),
          },
          {
            icon: "folder",
            label: t.sidebar.move,
            onSelect: () => openDialog((close) => <MoveOne conversation={conversation} close={close} />),
          },
          {
            icon: "check",
            label: t.sidebar.select,
            onSelect: () => toggleSelection(id),
          },
          {
            icon: "share",
            label: t.share.action,
            onSelect: () => openDialog((close) => <ShareDialog conversationId={id} onClose={close} />),
          },
          {
            icon: "trash",
            label: t.common.delete,
            danger: true,
            onSelect: () => confirmDeletion(t.sidebar.deleteTitle, t.sidebar.deleteLead(title), remove),
          },
        ]}
      />
    </li>
  );
}

function Rename({ conversation, close }: { conversation: Conversation; close: () => void }) {
  return (
    <Dialog title={t.sidebar.renameTitle} onClose={close}>
      <Form
        submit={t.common.save}
        onSubmit={async ({ title }) => {
          await changeConversation(conversation.id, { title: title?.trim() || null });
          close();
        }}
      >
        <Field
          label={t.sidebar.name}
          name="title"
          defaultValue={conversation.title ?? ""}
          maxLength={200}
          autofocus
          dir="auto"
        />
      </Form>
    </Dialog>
  );
}

function Results() {
  const words = query.value.trim().toLowerCase();
  const titled = conversations.value.filter((one) => one.title?.toLowerCase().includes(words));
  const passages = found.value ?? [];
  if (titled.length === 0 && found.value?.length === 0) return <p class="hint sidebar-empty">{t.sidebar.noResults}</p>;
  return (
    <>
      <ul class="group">
        {titled.map((one) => (
          <Entry key={one.id} conversation={one} />
        ))}
      </ul>
      {passages.length > 0 && (
        <section class="group">
          <h2>{t.sidebar.searchMeaning}</h2>
          <ul>
            {passages.map((passage) => (
              <li key={`${passage.conversation_id}-${passage.seq}`}>
                <a class="passage" href={href.chat(passage.conversation_id)}>
                  <strong dir="auto">{passage.title ?? t.sidebar.untitled}</strong>
                  <Marked html={passage.snippet} />
                  <small>{date(passage.said_at)}</small>
                </a>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function Footer() {
  const person = user.value;
  if (!person) return null;
  return (
    <footer class="sidebar-foot">
      <NavLink to={href.projects()} view="projects" icon="folder" label={t.projects.title} />
      <NavLink to={href.assistants()} view="assistants" icon="spark" label={t.sidebar.assistants} />
      <NavLink to={href.prompts()} view="prompts" icon="edit" label={t.sidebar.prompts} />
      <NavLink to={href.documents()} view="documents" icon="document" label={t.sidebar.documents} />
      <NavLink to={href.memory()} view="memory" icon="brain" label={t.sidebar.memory} />
      <NavLink to={href.groups()} view="groups" icon="user" label={t.sidebar.groups} />
      {person.role === "admin" && <NavLink to={href.admin()} view="admin" icon="shield" label={t.sidebar.admin} />}
      <NavLink to={href.settings()} view="settings" icon="settings" label={t.sidebar.settings} />
      <div class="account">
        <span class="avatar" aria-hidden="true">
          {(person.display_name ?? person.email).slice(0, 1).toUpperCase()}
        </span>
        <span class="account-name" dir="auto" title={person.email}>
          {person.display_name ?? person.email}
        </span>
        <IconButton icon="out" label={t.sidebar.signOut} onClick={() => signOut()} />
      </div>
    </footer>
  );
}

function NavLink({ to, view, icon, label }: { to: string; view: string; icon: IconName; label: string }) {
  const isCurrent = route.value.view === view;
  return (
    <a class={isCurrent ? "nav-link is-current" : "nav-link"} href={to} aria-current={isCurrent ? "page" : undefined}>
      <Icon name={icon} size={18} />
      {label}
    </a>
  );
}
