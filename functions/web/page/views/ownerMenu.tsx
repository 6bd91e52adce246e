/** The menu of an own assistant or prompt: edit, versions, sharing, deletion. */

import type { ComponentChildren } from "preact";
import { confirmDeletion, type MenuItem, openDialog } from "../components/overlays.tsx";
import { report } from "../state/notices.ts";
import { api, user } from "../state/session.ts";
import { t } from "../text/index.ts";
import { GroupShares } from "./GroupShares.tsx";
import { Versions } from "./Versions.tsx";

interface OwnedObject {
  path: string;
  title: string;
  shared: boolean;
  shareLead: string;
  deleteTitle: string;
  deleteLead: string;
  editor: (close: () => void) => ComponentChildren;
  reload: () => Promise<void>;
}

export function ownerMenu(object: OwnedObject): MenuItem[] {
  const { path, title, shared, reload } = object;
  const items: MenuItem[] = [
    { icon: "edit", label: t.common.edit, onSelect: () => openDialog(object.editor) },
    {
      icon: "refresh",
      label: t.versions.label,
      onSelect: () => openDialog((close) => <Versions path={path} title={title} reload={reload} close={close} />),
    },
    {
      icon: "share",
      label: t.groups.share,
      onSelect: () =>
        openDialog((close) => <GroupShares path={path} title={title} lead={object.shareLead} close={close} />),
    },
    {
      icon: "trash",
      label: t.common.delete,
      danger: true,
      onSelect: () =>
        confirmDeletion(object.deleteTitle, object.deleteLead, () => api.delete(path).then(reload, report)),
    },
  ];
  if (user.value?.role === "admin") {
    items.splice(2, 0, {
      icon: "share",
      label: shared ? t.documents.unshare : t.documents.share,
      onSelect: () => api.patch(path, { shared: !shared }).then(reload, report),
    });
  }
  return items;
}
