import { useEffect, useRef, useState } from "preact/hooks";
import type { Chunk, DocumentInfo, Page } from "../api/types.ts";
import { Button, Empty, Field, Form, Spinner } from "../components/controls.tsx";
import { Icon } from "../components/Icon.tsx";
import { confirmDeletion, Dialog, Menu, type MenuItem, openDialog } from "../components/overlays.tsx";
import {
  documents,
  documentTypes,
  drop,
  hasMoreDocuments,
  loadDocuments,
  loadMoreDocuments,
  put,
  uploadDocument,
  watchProgress,
} from "../state/documents.ts";
import { report } from "../state/notices.ts";
import { href } from "../state/router.ts";
import { api, user } from "../state/session.ts";
import { bytes, date } from "../text/format.ts";
import { t } from "../text/index.ts";
import { GroupShares } from "./GroupShares.tsx";
import { Topbar } from "./Topbar.tsx";

export function DocumentsView({ id }: { id: string | null }) {
  const [isDropping, setDropping] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  useEffect(() => {
    loadDocuments().catch(report);
    return watchProgress();
  }, []);
  const take = async (files: Iterable<File>) => {
    for (const file of files) await uploadDocument(file).catch(report);
  };
  const shown = documents.value?.find((one) => one.id === id);
  return (
    <div
      class={isDropping ? "screen is-dropping" : "screen"}
      onDragOver={(event) => {
        event.preventDefault();
        setDropping(true);
      }}
      onDragLeave={() => setDropping(false)}
      onDrop={(event) => {
        event.preventDefault();
        setDropping(false);
        take([...(event.dataTransfer?.files ?? [])]);
      }}
    >
      <Topbar title={t.documents.title} />
      <div class="screen-body">
        <div class="screen-head">
          <p class="lead">{t.documents.lead}</p>
          <Button kind="primary" icon="plus" onClick={() => picker.current?.click()}>
            {t.documents.add}
          </Button>
          <input
            ref={picker}
            type="file"
            class="visually-hidden"
            tabIndex={-1}
            aria-hidden="true"
            multiple
            accept={documentTypes}
            onChange={(event) => {
              take([...(event.currentTarget.files ?? [])]);
              event.currentTarget.value = "";
            }}
          />
        </div>
        {documents.value === null && <Spinner label={t.common.loading} />}
        {documents.value?.length === 0 && (
          <Empty icon="document" title={t.documents.empty} lead={t.documents.emptyLead} />
        )}
        <ul class="cards">
          {documents.value?.map((one) => (
            <DocumentCard key={one.id} document={one} />
          ))}
        </ul>
        {hasMoreDocuments() && (
          <Button kind="quiet" onClick={() => loadMoreDocuments().catch(report)}>
            {t.common.more}
          </Button>
        )}
      </div>
      {shown && <Passages document={shown} />}
    </div>
  );
}

function DocumentCard({ document }: { document: DocumentInfo }) {
  const isOpen = document.status === "queued" || document.status === "processing";
  const change = async (changes: Partial<DocumentInfo>) =>
    put(await api.patch<DocumentInfo>(`documents/${document.id}`, changes));
  const remove = async () => {
    await api.delete(`documents/${document.id}`).then(() => drop(document.id), report);
  };
  const items: MenuItem[] = [
    {
      icon: "edit",
      label: t.documents.rename,
      onSelect: () => openDialog((close) => <Rename document={document} change={change} close={close} />),
    },
    {
      icon: "share",
      label: t.groups.share,
      onSelect: () =>
        openDialog((close) => (
          <GroupShares
            path={`documents/${document.id}`}
            title={document.title}
            lead={t.groups.shareLead}
            close={close}
          />
        )),
    },
    {
      icon: "trash",
      label: t.common.delete,
      danger: true,
      onSelect: () => confirmDeletion(t.documents.deleteTitle, t.documents.deleteLead(document.title), remove),
    },
  ];
  if (user.value?.role === "admin") {
    const label = document.shared ? t.documents.unshare : t.documents.share;
    items.splice(1, 0, { icon: "share", label, onSelect: () => change({ shared: !document.shared }).catch(report) });
  }
  return (
    <li class="card">
      <span class={`card-icon is-${document.status}`}>
        <Icon name="document" size={22} />
      </span>
      <div class="card-text">
        <a href={href.documents(document.id)} dir="auto">
          {document.title}
        </a>
        <p class="hint">
          {[
            bytes(document.bytes),
            date(document.created_at),
            document.status === "ready"
              ? t.documents.chunks(document.chunks ?? 0)
              : t.documents.status[document.status],
            document.shared ? t.documents.shared : "",
            document.owner ? t.groups.sharedBy(document.owner.display_name ?? document.owner.email) : "",
          ]
            .filter(Boolean)
            .join(" · ")}
        </p>
        {isOpen && <progress aria-label={document.title} value={document.progress} max={1} />}
        {document.error && <p class="card-error">{document.error}</p>}
      </div>
      {document.is_own && <Menu label={t.documents.options(document.title)} items={items} />}
    </li>
  );
}

interface RenameProps {
  document: DocumentInfo;
  change: (changes: Partial<DocumentInfo>) => Promise<void>;
  close: () => void;
}

function Rename({ document, change, close }: RenameProps) {
  return (
    <Dialog title={t.documents.rename} onClose={close}>
      <Form
        submit={t.common.save}
        onSubmit={async ({ title = "" }) => {
          await change({ title });
          close();
        }}
      >
        <Field
          label={t.sidebar.name}
          name="title"
          defaultValue={document.title}
          required
          maxLength={200}
          autofocus
          dir="auto"
        />
      </Form>
    </Dialog>
  );
}

function Passages({ document }: { document: DocumentInfo }) {
  const [chunks, setChunks] = useState<Chunk[] | null>(null);
  useEffect(() => {
    api
      .get<Page<Chunk>>(`documents/${document.id}/chunks`, { limit: 50 })
      .then((page) => setChunks(page.items), report);
  }, [document.id, document.status]);
  return (
    <Dialog title={document.title} onClose={() => history.back()} wide>
      {chunks === null && <Spinner label={t.common.loading} />}
      <div class="passages" tabIndex={0} role="region" aria-label={t.documents.passages}>
        {chunks?.map((chunk) => (
          <p key={chunk.chunk_id} class="passage-text" dir="auto">
            {chunk.text}
          </p>
        ))}
      </div>
    </Dialog>
  );
}
