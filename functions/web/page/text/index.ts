import { en, type Texts } from "./en.ts";

const TABLES: Record<string, Texts> = { en };

/** The texts in the first of the user's languages that has a table. */
export const t: Texts =
  TABLES[(navigator.languages ?? []).map((tag) => tag.slice(0, 2)).find((tag) => tag in TABLES) ?? "en"] ?? en;
