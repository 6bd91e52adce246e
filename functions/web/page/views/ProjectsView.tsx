/** The user's projects, and what belongs to each: instructions, documents and the limit of memory. */

import { useEffect } from "preact/hooks";
import type { Project } from "../api/types.ts";
import { Button, Empty, Field, Form, Spinner } from "../components/controls.tsx";
import { Icon } from "../components/Icon.tsx";
import { Dialog, Menu, openDialog } from "../components/overlays.tsx";
import { showOnly } from "../state/conversations.ts";
import { documents, loadDocuments } from "../state/documents.ts";
import { report } from "../state/notices.ts";
import { deleteProject, loadProjects, projects, saveProject } from "../state/projects.ts";
import { href, navigate } from "../state/router.ts";
import { t } from "../text/index.ts";
import { Topbar } from "./Topbar.tsx";

const MAX_INSTRUCTIONS = 32_000;

export function ProjectsView() {
  useEffect(() => {
    Promise.all([loadProjects(), loadDocuments()]).catch(report);
  }, []);
  return (
    <div class="screen">
      <Topbar title={t.projects.title} />
      <div class="screen-body">
        <p class="lead">{t.projects.lead}</p>
        <div>
          <Button kind="primary" icon="plus" onClick={() => edit(null)}>
            {t.projects.add}
          </Button>
        </div>
        {projects.value === null && <Spinner label={t.common.loading} />}
        {projects.value?.length === 0 && <Empty icon="folder" title={t.projects.empty} lead={t.projects.emptyLead} />}
        <ul class="cards">
          {projects.value?.map((project) => (
            <ProjectCard key={project.id} project={project} />
          ))}
        </ul>
      </div>
    </div>
  );
}

function ProjectCard({ project }: { project: Project }) {
  const open = () => {
    showOnly({ project_id: project.id });
    navigate(href.chat(null));
  };
  return (
    <li class="card">
      <span class="card-icon">
        <Icon name="folder" size={22} />
      </span>
      <div class="card-text">
        <p class="card-title" dir="auto">
          {project.name}
        </p>
        <p class="hint">
          {[
            project.memory_scope === "project" ? t.projects.ownMemory : "",
            t.projects.documentCount(project.documents.length),
          ]
            .filter(Boolean)
            .join(" · ")}
        </p>
      </div>
      <Button onClick={open}>{t.projects.open}</Button>
      <Menu
        label={t.projects.options(project.name)}
        items={[
          { icon: "edit", label: t.projects.edit, onSelect: () => edit(project) },
          {
            icon: "trash",
            label: t.common.delete,
            danger: true,
            onSelect: () => openDialog((close) => <Deletion project={project} close={close} />),
          },
        ]}
      />
    </li>
  );
}

function edit(project: Project | null): void {
  openDialog((close) => <Editor project={project} close={close} />);
}

function Editor({ project, close }: { project: Project | null; close: () => void }) {
  const chosen = new Set(project?.documents);
  const own = documents.value?.filter((one) => one.is_own) ?? [];
  // Documents beyond the first page of the list stay in the project.
  const unlisted = [...chosen].filter((id) => !own.some((one) => one.id === id));
  const save = async (values: Record<string, string>) => {
    await saveProject(project?.id ?? null, {
      name: values.name ?? "",
      instructions: values.instructions || null,
      memory_scope: values.memory_scope === "project" ? "project" : "all",
      documents: [...unlisted, ...own.map((one) => one.id).filter((id) => `document-${id}` in values)],
    });
    close();
  };
  return (
    <Dialog title={project ? t.projects.edit : t.projects.add} onClose={close} wide>
      <Form submit={t.common.save} onSubmit={save}>
        <Field
          label={t.projects.name}
          name="name"
          defaultValue={project?.name ?? ""}
          required
          maxLength={100}
          dir="auto"
        />
        <div class="field">
          <label for="project-instructions">{t.projects.instructions}</label>
          <textarea
            id="project-instructions"
            name="instructions"
            rows={5}
            maxLength={MAX_INSTRUCTIONS}
            defaultValue={project?.instructions ?? ""}
            dir="auto"
          />
        </div>
        <div class="field">
          <label for="project-memory">{t.projects.memory}</label>
          <select id="project-memory" name="memory_scope">
            <option value="all" selected={project?.memory_scope !== "project"}>
              {t.projects.memoryAll}
            </option>
            <option value="project" selected={project?.memory_scope === "project"}>
              {t.projects.memoryOwn}
            </option>
          </select>
        </div>
        {own.length > 0 && (
          <fieldset class="field">
            <legend>{t.projects.documents}</legend>
            {own.map((one) => (
              <label key={one.id} class="entry-choice" dir="auto">
                <input type="checkbox" name={`document-${one.id}`} defaultChecked={chosen.has(one.id)} />
                <span>{one.title}</span>
              </label>
            ))}
          </fieldset>
        )}
      </Form>
    </Dialog>
  );
}

function Deletion({ project, close }: { project: Project; close: () => void }) {
  const remove = (withConversations: boolean) =>
    deleteProject(project.id, { withConversations }).then(close, (error) => {
      close();
      report(error);
    });
  return (
    <Dialog title={t.projects.deleteTitle} onClose={close}>
      <p>{t.projects.deleteLead(project.name)}</p>
      <div class="form-actions">
        <Button kind="primary" onClick={() => remove(false)}>
          {t.projects.keep}
        </Button>
        <Button kind="danger" onClick={() => remove(true)}>
          {t.projects.deleteAll}
        </Button>
        <Button kind="quiet" onClick={close}>
          {t.common.cancel}
        </Button>
      </div>
    </Dialog>
  );
}
