import assert from "node:assert/strict";
import { test } from "node:test";
import { describeTimes, inputsOf, type TimeInputs, timesOf, timeZones } from "../state/schedules.ts";

const INPUTS: TimeInputs = { kind: "daily", clock: "07:30", day: "3", minutes: "90", cron: " 0 8 1 * * " };

test("each kind of repetition becomes fields of cron or a number of minutes", () => {
  const times = (["daily", "weekdays", "weekly", "interval", "cron"] as const).map((kind) =>
    timesOf({ ...INPUTS, kind }),
  );

  assert.deepEqual(times, [
    { cron: "30 7 * * *", every_minutes: null },
    { cron: "30 7 * * 1-5", every_minutes: null },
    { cron: "30 7 * * 3", every_minutes: null },
    { cron: null, every_minutes: 90 },
    { cron: "0 8 1 * *", every_minutes: null },
  ]);
});

test("stored times are edited as they were chosen", () => {
  for (const cron of ["5 0 * * *", "30 7 * * 1-5", "0 23 * * 0", "*/5 7-9 * * mon", "0 8 1 * *"]) {
    const times = { cron, every_minutes: null, time_zone: "UTC" };

    assert.deepEqual(timesOf(inputsOf(times)), { cron, every_minutes: null });
  }
  assert.equal(inputsOf({ cron: "0 8 1 * *", every_minutes: null, time_zone: "UTC" }).kind, "cron");
  assert.equal(inputsOf({ cron: null, every_minutes: 90, time_zone: "UTC" }).minutes, "90");
});

test("times are words, with the zone if it is another", () => {
  const words = (cron: string | null, every_minutes: number | null) =>
    describeTimes({ cron, every_minutes, time_zone: "Asia/Tokyo" }, "Europe/Berlin");

  assert.equal(words("5 8 * * 1-5", null), "Monday to Friday at 08:05, Asia/Tokyo");
  assert.equal(words("0 9 * * 0", null), "every Sunday at 09:00, Asia/Tokyo");
  assert.equal(words(null, 120), "every 2 hours");
  assert.equal(words(null, 90), "every 90 minutes");
  assert.equal(
    describeTimes({ cron: "5 8 * * *", every_minutes: null, time_zone: "UTC" }, "UTC"),
    "every day at 08:05",
  );
});

test("a stored zone that the browser does not list can be kept", () => {
  assert.ok(timeZones("Etc/GMT-1").includes("Etc/GMT-1"));
});
