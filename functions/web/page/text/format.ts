/** Numbers, money and dates as people read them. */

import { ApiError, Offline } from "../api/errors.ts";
import type { Problem } from "../api/types.ts";
import { t } from "./index.ts";

const DAY_MS = 86_400_000;

/** US dollars with as many digits as a small amount needs: $12.40, $0.0031. */
export function dollars(value: number): string {
  if (value === 0) return "$0";
  const digits = value >= 1 ? 2 : Math.min(6, Math.max(2, 1 - Math.floor(Math.log10(value))));
  return `$${value.toFixed(digits).replace(/(\.\d\d\d*?)0+$/, "$1")}`;
}

export function date(value: string | Date): string {
  return new Date(value).toLocaleDateString(t.locale, { dateStyle: "medium" });
}

export function dateTime(value: string | Date): string {
  return new Date(value).toLocaleString(t.locale, { dateStyle: "medium", timeStyle: "short" });
}

export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  if (value < 1_000_000) return `${Math.round(value / 1000)} kB`;
  return `${(value / 1_000_000).toFixed(1)} MB`;
}

/** The group of the conversation list that a time belongs to. */
export function ageOf(time: string, now: Date = new Date()): "today" | "yesterday" | "week" | "older" {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const at = new Date(time).getTime();
  if (at >= midnight) return "today";
  if (at >= midnight - DAY_MS) return "yesterday";
  return at >= midnight - 6 * DAY_MS ? "week" : "older";
}

/** A sentence that says what went wrong and what to do. */
export function explain(error: unknown): string {
  if (error instanceof ApiError) return explainProblem(error.problem);
  if (error instanceof Offline) return t.errors.offline;
  return t.errors.unexpected;
}

export function explainProblem(problem: Problem): string {
  const known = t.errors.known[problem.code];
  if (known) return known;
  const fields = problem.errors?.map((field) => field.msg).join(" ");
  const text = fields || problem.detail || t.errors.unexpected;
  return problem.status >= 500 && problem.request_id ? `${text} ${t.errors.reference(problem.request_id)}` : text;
}
