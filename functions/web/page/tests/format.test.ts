import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, Offline } from "../api/errors.ts";
import { parseRoute } from "../state/routes.ts";
import { ageOf, bytes, dollars, explain } from "../text/format.ts";
import { t } from "../text/index.ts";

test("small amounts keep the digits that matter", () => {
  assert.deepEqual([0, 12.4, 0.0031, 0.00003, 0.25].map(dollars), ["$0", "$12.40", "$0.0031", "$0.00003", "$0.25"]);
});

test("sizes are short", () => {
  assert.deepEqual([999, 12_300, 4_000_000].map(bytes), ["999 B", "12 kB", "4.0 MB"]);
});

test("a conversation's age is counted in calendar days", () => {
  const now = new Date(2026, 10, 28, 0, 30);
  const ages = [
    new Date(2026, 10, 28, 0, 1),
    new Date(2026, 10, 27, 23, 0),
    new Date(2026, 10, 23),
    new Date(2026, 9, 1),
  ];

  assert.deepEqual(
    ages.map((at) => ageOf(at.toISOString(), now)),
    ["today", "yesterday", "week", "older"],
  );
});

test("an error is a sentence that says what to do", () => {
  assert.equal(explain(new Offline()), t.errors.offline);
  assert.equal(
    explain(new ApiError({ status: 402, code: "budget_exhausted", title: "x" })),
    t.errors.known.budget_exhausted,
  );
  const fields = [{ loc: ["body", "password"], msg: "The password is too easy to guess." }];
  assert.equal(
    explain(new ApiError({ status: 422, code: "weak_password", title: "x", errors: fields })),
    "The password is too easy to guess.",
  );
  assert.match(
    explain(new ApiError({ status: 500, code: "internal", title: "x", detail: "Failed.", request_id: "r-1" })),
    /r-1/,
  );
});

test("every address has a screen", () => {
  assert.deepEqual(parseRoute("#/c/1-2"), { view: "chat", id: "1-2" });
  assert.deepEqual(parseRoute("#/settings"), { view: "settings", section: "profile" });
  assert.deepEqual(parseRoute("#/admin/usage"), { view: "admin", section: "usage" });
  assert.deepEqual(parseRoute("#/nonsense"), { view: "chat", id: null });
  assert.deepEqual(parseRoute("#/%"), { view: "chat", id: null });
});
