import { effect, untracked } from "@preact/signals";
import { lazy, Suspense } from "preact/compat";
import { useEffect } from "preact/hooks";
import { Spinner } from "../components/controls.tsx";
import { DialogHost, Notices, openDialog } from "../components/overlays.tsx";
import { forgetAssistants } from "../state/assistants.ts";
import { forgetChats } from "../state/chat.ts";
import { clearConversations, loadConversations } from "../state/conversations.ts";
import { documents } from "../state/documents.ts";
import { report } from "../state/notices.ts";
import { loadProjects, projects } from "../state/projects.ts";
import { prompts } from "../state/prompts.ts";
import { afterSignIn, href, isSidebarOpen, navigate, route } from "../state/router.ts";
import { needsSecondFactor, user } from "../state/session.ts";
import { t } from "../text/index.ts";
import { ChatView } from "./ChatView.tsx";
import { Shortcuts } from "./Shortcuts.tsx";
import { Sidebar } from "./Sidebar.tsx";
import { SignInView } from "./SignInView.tsx";

const AdminView = lazy(() => import("./AdminView.tsx").then((module) => module.AdminView));
const AssistantsView = lazy(() => import("./AssistantsView.tsx").then((module) => module.AssistantsView));
const ConnectView = lazy(() => import("./ConnectView.tsx").then((module) => module.ConnectView));
const DocumentsView = lazy(() => import("./DocumentsView.tsx").then((module) => module.DocumentsView));
const EnrolmentView = lazy(() => import("./EnrolmentView.tsx").then((module) => module.EnrolmentView));
const GroupsView = lazy(() => import("./GroupsView.tsx").then((module) => module.GroupsView));
const MemoryView = lazy(() => import("./MemoryView.tsx").then((module) => module.MemoryView));
const ProjectsView = lazy(() => import("./ProjectsView.tsx").then((module) => module.ProjectsView));
const PromptsView = lazy(() => import("./PromptsView.tsx").then((module) => module.PromptsView));
const SharedView = lazy(() => import("./SharedView.tsx").then((module) => module.SharedView));
const SettingsView = lazy(() => import("./SettingsView.tsx").then((module) => module.SettingsView));

/** The id of the user whose conversations are loaded. */
let loadedFor: string | null = null;
let lastUser: string | null = null;

// Not in the component: the screen of the next user must not begin with the work of the previous one.
effect(() => {
  const person = user.value;
  if (!person) return;
  if (lastUser !== null && lastUser !== person.id) untracked(forgetWork);
  lastUser = person.id;
});

function forgetWork(): void {
  forgetChats();
  clearConversations();
  projects.value = null;
  prompts.value = null;
  documents.value = null;
  forgetAssistants();
}

export function App() {
  const person = user.value;
  const mustEnrol = needsSecondFactor.value;
  useEffect(() => {
    if (person && !mustEnrol && person.id !== loadedFor) {
      loadedFor = person.id;
      loadConversations().catch(report);
      loadProjects().catch(report);
    }
    if (person && ["sign-in", "register", "reset"].includes(route.value.view))
      navigate(afterSignIn(), { replace: true });
  }, [person, mustEnrol]);
  useEffect(() => {
    addEventListener("keydown", onShortcut);
    return () => removeEventListener("keydown", onShortcut);
  }, []);
  // The list covers a phone's screen: it closes when the route changes.
  const current = route.value;
  useEffect(() => {
    isSidebarOpen.value = false;
  }, [current]);
  if (person === undefined) return <Loading />;
  return (
    <>
      {current.view === "shared" ? (
        <Suspense fallback={<Spinner label={t.common.loading} />}>
          <SharedView token={current.token} />
        </Suspense>
      ) : person === null ? (
        <SignInView />
      ) : mustEnrol ? (
        <Suspense fallback={<Spinner label={t.common.loading} />}>
          <EnrolmentView />
        </Suspense>
      ) : current.view === "connect" ? (
        <Connect query={current.query} />
      ) : (
        <Workspace />
      )}
      <DialogHost />
      <Notices />
    </>
  );
}

function Connect({ query }: { query: string }) {
  return (
    <Suspense fallback={<Spinner label={t.common.loading} />}>
      {/* The key: a button must never answer another request than the one above it. */}
      <ConnectView key={query} query={query} />
    </Suspense>
  );
}

function Workspace() {
  return (
    <div class={isSidebarOpen.value ? "workspace is-sidebar-open" : "workspace"}>
      <button type="button" class="skip-link" onClick={() => document.getElementById("main")?.focus()}>
        {t.sidebar.skip}
      </button>
      <Sidebar />
      {isSidebarOpen.value && (
        <button
          type="button"
          class="scrim"
          aria-label={t.sidebar.close}
          onClick={() => (isSidebarOpen.value = false)}
        />
      )}
      <main class="main" id="main" tabIndex={-1}>
        <Suspense fallback={<Spinner label={t.common.loading} />}>
          <Screen />
        </Suspense>
      </main>
    </div>
  );
}

function Screen() {
  const current = route.value;
  switch (current.view) {
    case "settings":
      return <SettingsView section={current.section} />;
    case "admin":
      return user.value?.role === "admin" ? <AdminView section={current.section} /> : <ChatView id={null} />;
    case "assistants":
      return <AssistantsView />;
    case "documents":
      return <DocumentsView id={current.id} />;
    case "groups":
      return <GroupsView />;
    case "memory":
      return <MemoryView />;
    case "projects":
      return <ProjectsView />;
    case "prompts":
      return <PromptsView />;
    case "chat":
      return <ChatView id={current.id} />;
    default:
      return <ChatView id={null} />;
  }
}

function Loading() {
  return (
    <div class="loading-page">
      <Spinner label={t.common.loading} />
      <Notices />
    </div>
  );
}

function onShortcut(event: KeyboardEvent): void {
  if (!(event.ctrlKey || event.metaKey) || !user.value || needsSecondFactor.value) return;
  const key = event.key.toLowerCase();
  if (key === "/") openDialog((close) => <Shortcuts onClose={close} />);
  else if (key === "k") {
    isSidebarOpen.value = true;
    requestAnimationFrame(() => document.querySelector<HTMLInputElement>(".search input")?.focus());
  } else if (key === "o" && event.shiftKey) navigate(href.chat(null));
  else return;
  event.preventDefault();
}
