/** The times of scheduled prompts: from a form's values to the API's fields and back, and as words. Pure functions. */

import type { ScheduleTimes } from "../api/types.ts";
import { t } from "../text/index.ts";

export const KINDS = ["daily", "weekdays", "weekly", "interval", "cron"] as const;
export type Kind = (typeof KINDS)[number];

/** The values of a form's inputs for the times. */
export interface TimeInputs {
  kind: Kind;
  /** Hours and minutes, as 07:30. */
  clock: string;
  /** The weekday; 0 is Sunday. */
  day: string;
  minutes: string;
  cron: string;
}

const DAYS: Record<string, Kind> = { "*": "daily", "1-5": "weekdays" };
const FRESH: TimeInputs = { kind: "daily", clock: "08:00", day: "1", minutes: "1440", cron: "0 8 * * *" };

/** Return the times that the inputs give: one of `cron` and `every_minutes`, and null for the other. */
export function timesOf(inputs: TimeInputs): Pick<ScheduleTimes, "cron" | "every_minutes"> {
  if (inputs.kind === "interval") return { cron: null, every_minutes: Number(inputs.minutes) };
  if (inputs.kind === "cron") return { cron: inputs.cron.trim(), every_minutes: null };
  const [hour, minute] = inputs.clock.split(":").map(Number);
  const day = { daily: "*", weekdays: "1-5", weekly: inputs.day }[inputs.kind];
  return { cron: `${minute} ${hour} * * ${day}`, every_minutes: null };
}

/** Return the inputs that give these times. */
export function inputsOf(times: ScheduleTimes | null): TimeInputs {
  if (times === null) return FRESH;
  if (times.every_minutes !== null) return { ...FRESH, kind: "interval", minutes: String(times.every_minutes) };
  const cron = times.cron ?? "";
  const [, minute, hour, day] = /^(\d{1,2}) (\d{1,2}) \* \* (\*|1-5|[0-6])$/.exec(cron) ?? [];
  if (!minute || !hour || !day) return { ...FRESH, kind: "cron", cron };
  const clock = `${hour.padStart(2, "0")}:${minute.padStart(2, "0")}`;
  const kind = DAYS[day];
  return kind ? { ...FRESH, kind, clock, cron } : { ...FRESH, kind: "weekly", clock, day, cron };
}

/** The times in words, with the time zone if it is not `ownZone`. */
export function describeTimes(times: ScheduleTimes, ownZone: string): string {
  const { kind, clock, day, cron } = inputsOf(times);
  if (kind === "interval") return t.schedules.everyMinutes(times.every_minutes ?? 0);
  const words = {
    daily: t.schedules.dailyAt(clock),
    weekdays: t.schedules.weekdaysAt(clock),
    weekly: t.schedules.weeklyAt(t.schedules.days[Number(day)] ?? day, clock),
    cron,
  }[kind];
  return times.time_zone === ownZone ? words : t.schedules.inZone(words, times.time_zone);
}

export function ownTimeZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** The names of the time zones to choose from. `chosen` may be a name that browsers do not list, such as UTC. */
export function timeZones(chosen: string): string[] {
  return [...new Set([chosen, ownTimeZone(), "UTC", ...Intl.supportedValuesOf("timeZone")])].sort();
}
