import assert from "node:assert/strict";
import { test } from "node:test";
import type { FormField } from "../api/types.ts";
import { answersOf, isPreset } from "../state/questions.ts";

const FIELD: FormField = {
  id: "x",
  text: "Well?",
  kind: "text",
  options: [],
  required: true,
  is_integer: false,
  minimum: null,
  maximum: null,
  min_length: null,
  max_length: null,
  format: null,
  default: null,
};
const OPTIONS = ["a", "b", "c"].map((value) => ({ value, label: value.toUpperCase() }));

test("the values of a form become answers of the kinds of its fields", () => {
  const fields: FormField[] = [
    { ...FIELD, id: "text" },
    { ...FIELD, id: "number", kind: "number" },
    { ...FIELD, id: "boolean", kind: "boolean" },
    { ...FIELD, id: "choice", kind: "choice", options: OPTIONS },
    { ...FIELD, id: "multiple", kind: "multiple", options: OPTIONS },
  ];
  const values = {
    "field-0": " Ada ",
    "field-1": "1.5",
    "field-2": "false",
    "field-3": "b",
    "field-4-0": "a",
    "field-4-2": "c",
  };

  assert.deepEqual(answersOf(fields, values), {
    text: "Ada",
    number: 1.5,
    boolean: false,
    choice: "b",
    multiple: ["a", "c"],
  });
});

test("a field without a value is left out, but an empty required list is sent", () => {
  const fields: FormField[] = [
    { ...FIELD, id: "text" },
    { ...FIELD, id: "some", kind: "multiple", options: OPTIONS },
    { ...FIELD, id: "any", kind: "multiple", options: OPTIONS, required: false },
  ];

  assert.deepEqual(answersOf(fields, { "field-0": "" }), { some: [] });
});

test("a default presets its options", () => {
  assert.equal(isPreset({ ...FIELD, kind: "multiple", options: OPTIONS, default: ["a"] }, "a"), true);
  assert.equal(isPreset({ ...FIELD, kind: "choice", options: OPTIONS, default: "a" }, "b"), false);
  assert.equal(isPreset({ ...FIELD, kind: "boolean", default: false }, false), true);
});
