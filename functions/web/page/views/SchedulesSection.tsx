/** The user's scheduled prompts and their runs. */

import { useState } from "preact/hooks";
import type { Schedule, ScheduleRun } from "../api/types.ts";
import { Button, Empty, Field, Form, Spinner, Switch } from "../components/controls.tsx";
import { confirmDeletion, Dialog, Menu, type MenuItem, openDialog } from "../components/overlays.tsx";
import { usePages } from "../components/paging.tsx";
import { report } from "../state/notices.ts";
import { href } from "../state/router.ts";
import {
  describeTimes,
  inputsOf,
  KINDS,
  type Kind,
  ownTimeZone,
  type TimeInputs,
  timesOf,
  timeZones,
} from "../state/schedules.ts";
import { api, models } from "../state/session.ts";
import { dateTime } from "../text/format.ts";
import { t } from "../text/index.ts";

const MAX_PROMPT = 20_000;

type Reload = () => Promise<void>;

export function SchedulesSection() {
  const { items, reload, more } = usePages<Schedule>("schedules");
  return (
    <>
      <p class="lead">{t.schedules.lead}</p>
      <div>
        <Button kind="primary" icon="plus" onClick={() => edit(null, reload)}>
          {t.schedules.add}
        </Button>
      </div>
      {items === null && <Spinner label={t.common.loading} />}
      {items?.length === 0 && <Empty icon="clock" title={t.schedules.empty} lead={t.schedules.emptyLead} />}
      <ul class="cards">
        {items?.map((schedule) => (
          <ScheduleCard key={schedule.id} schedule={schedule} reload={reload} />
        ))}
      </ul>
      {more}
    </>
  );
}

function ScheduleCard({ schedule, reload }: { schedule: Schedule; reload: Reload }) {
  const details = [
    describeTimes(schedule, ownTimeZone()),
    schedule.model ?? "",
    schedule.next_at === null ? "" : t.schedules.next(dateTime(schedule.next_at)),
  ];
  return (
    <li class="card">
      <div class="card-text">
        <p class="card-title is-short" dir="auto">
          {schedule.prompt}
        </p>
        <p class="hint">{details.filter(Boolean).join(" · ")}</p>
      </div>
      {schedule.paused_at !== null && (
        <span class="tag is-off">{schedule.failures > 0 ? t.schedules.pausedByFailures : t.schedules.paused}</span>
      )}
      <Menu label={t.schedules.options(schedule.prompt.slice(0, 60))} items={menuItems(schedule, reload)} />
    </li>
  );
}

function menuItems(schedule: Schedule, reload: Reload): MenuItem[] {
  const path = `schedules/${schedule.id}`;
  const isPaused = schedule.paused_at !== null;
  return [
    { icon: "edit", label: t.schedules.edit, onSelect: () => edit(schedule, reload) },
    {
      icon: isPaused ? "play" : "pause",
      label: isPaused ? t.schedules.resume : t.schedules.pause,
      onSelect: () => api.patch(path, { enabled: isPaused }).then(reload, report),
    },
    {
      icon: "clock",
      label: t.schedules.runs,
      onSelect: () => openDialog((close) => <Runs path={`${path}/runs`} close={close} />),
    },
    {
      icon: "trash",
      label: t.common.delete,
      danger: true,
      onSelect: () =>
        confirmDeletion(t.schedules.deleteTitle, t.schedules.deleteLead, () => api.delete(path).then(reload, report)),
    },
  ];
}

function edit(schedule: Schedule | null, reload: Reload): void {
  openDialog((close) => <Editor schedule={schedule} reload={reload} close={close} />);
}

interface EditorProps {
  schedule: Schedule | null;
  reload: Reload;
  close: () => void;
}

/** The model, tools and documents are chosen once: the API does not change them later. */
function Editor({ schedule, reload, close }: EditorProps) {
  const [choices, setChoices] = useState({ tools: false, documents: false, email: schedule?.email ?? false });
  const choose = (name: keyof typeof choices) => (isOn: boolean) => setChoices({ ...choices, [name]: isOn });
  const save = async (values: Record<string, string>) => {
    const { prompt = "", time_zone = "UTC", model } = values;
    const times = timesOf({ ...inputsOf(schedule), ...(values as Partial<TimeInputs>) });
    if (schedule) {
      await api.patch(`schedules/${schedule.id}`, { prompt, time_zone, email: choices.email, ...times });
    } else {
      const body = { prompt, time_zone, model: model || null, ...choices, ...times };
      await api.post("schedules", body, { idempotencyKey: crypto.randomUUID() });
    }
    close();
    await reload();
  };
  return (
    <Dialog title={schedule ? t.schedules.edit : t.schedules.add} onClose={close} wide>
      <Form submit={t.common.save} onSubmit={save}>
        <div class="field">
          <label for="schedule-prompt">{t.schedules.prompt}</label>
          <textarea
            id="schedule-prompt"
            name="prompt"
            rows={4}
            required
            maxLength={MAX_PROMPT}
            defaultValue={schedule?.prompt ?? ""}
            dir="auto"
          />
        </div>
        <Times schedule={schedule} />
        {schedule === null && (
          <>
            <ModelChoice />
            <Switch label={t.schedules.tools} checked={choices.tools} onChange={choose("tools")} />
            <Switch label={t.schedules.documents} checked={choices.documents} onChange={choose("documents")} />
          </>
        )}
        <Switch label={t.schedules.email} checked={choices.email} onChange={choose("email")} />
      </Form>
    </Dialog>
  );
}

function Times({ schedule }: { schedule: Schedule | null }) {
  const stored = inputsOf(schedule);
  const [kind, setKind] = useState<Kind>(stored.kind);
  const zone = schedule?.time_zone ?? ownTimeZone();
  return (
    <>
      <div class="field">
        <label for="schedule-kind">{t.schedules.repeat}</label>
        <select
          id="schedule-kind"
          name="kind"
          value={kind}
          onChange={(event) => setKind(event.currentTarget.value as Kind)}
        >
          {KINDS.map((name) => (
            <option key={name} value={name}>
              {t.schedules.kinds[name]}
            </option>
          ))}
        </select>
      </div>
      {kind === "weekly" && (
        <div class="field">
          <label for="schedule-day">{t.schedules.day}</label>
          <select id="schedule-day" name="day">
            {t.schedules.days.map((name, number) => (
              <option key={name} value={number} selected={String(number) === stored.day}>
                {name}
              </option>
            ))}
          </select>
        </div>
      )}
      {kind === "interval" && (
        <Field
          label={t.schedules.minutes}
          name="minutes"
          type="number"
          min={1}
          max={527_040}
          defaultValue={stored.minutes}
          required
        />
      )}
      {kind === "cron" && (
        <Field
          label={t.schedules.cron}
          name="cron"
          defaultValue={stored.cron}
          required
          maxLength={200}
          autocomplete="off"
          hint={t.schedules.cronHint}
        />
      )}
      {kind !== "interval" && kind !== "cron" && (
        <Field label={t.schedules.clock} name="clock" type="time" defaultValue={stored.clock} required />
      )}
      <div class="field">
        <label for="schedule-zone">{t.schedules.zone}</label>
        <select id="schedule-zone" name="time_zone">
          {timeZones(zone).map((name) => (
            <option key={name} value={name} selected={name === zone}>
              {name}
            </option>
          ))}
        </select>
      </div>
    </>
  );
}

function ModelChoice() {
  return (
    <div class="field">
      <label for="schedule-model">{t.chat.model}</label>
      <select id="schedule-model" name="model">
        <option value="">{t.chat.modelDefault}</option>
        {models.value.map((model) => (
          <option key={model.id} value={model.id}>
            {model.id}
          </option>
        ))}
      </select>
    </div>
  );
}

function Runs({ path, close }: { path: string; close: () => void }) {
  const { items, more } = usePages<ScheduleRun>(path);
  return (
    <Dialog title={t.schedules.runs} onClose={close} wide>
      {items === null && <Spinner label={t.common.loading} />}
      {items?.length === 0 && <p class="hint">{t.schedules.runsEmpty}</p>}
      <ul class="rows">
        {items?.map((run) => (
          <li key={run.id}>
            <div>
              <p>{dateTime(run.due_at)}</p>
              {run.error_code && <p class="hint">{t.errors.known[run.error_code] ?? run.error_code}</p>}
            </div>
            <span class={run.status === "failed" ? "tag is-off" : "tag"}>{t.schedules.statuses[run.status]}</span>
            {run.conversation_id && (
              <a class="button" href={href.chat(run.conversation_id)} onClick={close}>
                {t.schedules.open}
              </a>
            )}
          </li>
        ))}
      </ul>
      {more}
    </Dialog>
  );
}
