/** Forms of the model and of tool servers: the values of their inputs as answers. Pure functions. */

import type { FormAnswer, FormField } from "../api/types.ts";

/** The name of a field's input, or of the input of one of its options. */
export function inputName(field: number, option?: number): string {
  return option === undefined ? `field-${field}` : `field-${field}-${option}`;
}

/** Return the answers that the values of a form's inputs give. A field without a value is left out. */
export function answersOf(fields: FormField[], values: Record<string, string>): Record<string, FormAnswer> {
  const answers: Record<string, FormAnswer> = {};
  fields.forEach((field, index) => {
    const answer = answerOf(field, index, values);
    if (answer !== null) answers[field.id] = answer;
  });
  return answers;
}

function answerOf(field: FormField, index: number, values: Record<string, string>): FormAnswer | null {
  if (field.kind === "multiple") {
    const chosen = field.options.filter((_, option) => inputName(index, option) in values).map(({ value }) => value);
    return chosen.length > 0 || field.required ? chosen : null;
  }
  const value = values[inputName(index)]?.trim();
  if (value === undefined || value === "") return null;
  if (field.kind === "number") return Number(value);
  return field.kind === "boolean" ? value === "true" : value;
}

/** Whether a field's option is chosen before the user has chosen. */
export function isPreset(field: FormField, value: FormAnswer): boolean {
  return Array.isArray(field.default) ? field.default.includes(String(value)) : field.default === value;
}
