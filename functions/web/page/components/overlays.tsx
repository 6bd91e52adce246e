/** Dialogs, menus and notices. */

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { announcement, dismiss, notices } from "../state/notices.ts";
import { isOffline } from "../state/session.ts";
import { t } from "../text/index.ts";
import { IconButton } from "./controls.tsx";
import { Icon, type IconName } from "./Icon.tsx";

interface DialogProps {
  title: string;
  children: ComponentChildren;
  onClose: () => void;
  wide?: boolean;
}

/** A modal dialog. The browser keeps the focus inside and returns it at the end. */
export function Dialog({ title, children, onClose, wide = false }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      class={wide ? "dialog is-wide" : "dialog"}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === ref.current && onClose()}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2 id={id}>{title}</h2>
          <IconButton icon="close" label={t.common.close} onClick={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  );
}

/** The dialog that is open, set from anywhere by `openDialog`. */
const current = signal<((close: () => void) => ComponentChildren) | null>(null);

export function openDialog(content: (close: () => void) => ComponentChildren): void {
  current.value = content;
}

export function closeDialog(): void {
  current.value = null;
}

export function DialogHost() {
  return <>{current.value?.(closeDialog)}</>;
}

export interface MenuItem {
  icon: IconName;
  label: string;
  danger?: boolean;
  onSelect: () => void;
}

/** A button that opens a menu: arrows move, Escape closes and returns the focus. */
export function Menu({ label, icon = "more", items }: { label: string; icon?: IconName; items: MenuItem[] }) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const id = useId();
  const buttons = () => [...(root.current?.querySelectorAll<HTMLElement>('[role="menuitem"]') ?? [])];
  const close = () => {
    setOpen(false);
    root.current?.querySelector<HTMLElement>("button")?.focus();
  };
  useEffect(() => {
    if (!isOpen) return;
    buttons()[0]?.focus();
    const away = (event: Event) => !root.current?.contains(event.target as Node) && setOpen(false);
    document.addEventListener("pointerdown", away);
    return () => document.removeEventListener("pointerdown", away);
  }, [isOpen]);
  const move = (event: KeyboardEvent) => {
    const all = buttons();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") close();
    else if (step) all[(at + step + all.length) % all.length]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="menu" ref={root} onKeyDown={isOpen ? move : undefined}>
      <button
        type="button"
        class="icon-button"
        aria-label={label}
        title={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined}
        onClick={(event) => {
          event.preventDefault();
          setOpen(!isOpen);
        }}
      >
        <Icon name={icon} size={18} />
      </button>
      {isOpen && (
        <div class="menu-list" role="menu" id={id} aria-label={label}>
          {items.map((item) => (
            <button
              key={item.label}
              type="button"
              role="menuitem"
              tabIndex={-1}
              class={item.danger ? "menu-item is-danger" : "menu-item"}
              onClick={() => {
                close();
                item.onSelect();
              }}
            >
              <Icon name={item.icon} size={18} />
              {item.label}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

export function Notices() {
  return (
    <>
      <div class="visually-hidden" role="status" aria-live="polite">
        {announcement.value}
      </div>
      {isOffline.value && (
        <p class="offline" role="status">
          <Icon name="warning" size={18} />
          {t.errors.offline}
        </p>
      )}
      <div class="notices" role="log" aria-live="polite">
        {notices.value.map((notice) => (
          <div key={notice.id} class={`notice is-${notice.kind}`}>
            <span>{notice.text}</span>
            <IconButton icon="close" label={t.common.close} size={16} onClick={() => dismiss(notice.id)} />
          </div>
        ))}
      </div>
    </>
  );
}

/** Ask before something is deleted. */
export function confirmDeletion(
  title: string,
  lead: string,
  onConfirm: () => Promise<unknown>,
  action = t.common.delete,
): void {
  openDialog((close) => <Confirmation title={title} lead={lead} action={action} onConfirm={onConfirm} close={close} />);
}

interface ConfirmationProps {
  title: string;
  lead: string;
  action: string;
  onConfirm: () => Promise<unknown>;
  close: () => void;
}

function Confirmation({ title, lead, action, onConfirm, close }: ConfirmationProps) {
  const [isBusy, setBusy] = useState(false);
  const confirm = () => {
    setBusy(true);
    onConfirm().finally(close);
  };
  return (
    <Dialog title={title} onClose={close}>
      <p>{lead}</p>
      <div class="form-actions">
        <button type="button" class="button is-danger" disabled={isBusy} onClick={confirm}>
          {action}
        </button>
        <button type="button" class="button is-quiet" onClick={close}>
          {t.common.cancel}
        </button>
      </div>
    </Dialog>
  );
}
