/** What a screen reads before it shows anything. */

import { useCallback, useEffect, useState } from "preact/hooks";
import { report } from "../state/notices.ts";
import { t } from "../text/index.ts";
import { Form, Spinner } from "./controls.tsx";

/** The result of `read`, which must stay the same function. `pending` stands in for it: a spinner, or a retry after an error. */
export function useLoaded<Result>(read: () => Promise<Result>) {
  const [result, setResult] = useState<Result | null>(null);
  const [hasFailed, setFailed] = useState(false);
  const load = useCallback(async () => setResult(await read()), [read]);
  useEffect(() => {
    load().catch((error) => {
      setFailed(true);
      report(error);
    });
  }, [load]);
  const pending = hasFailed ? (
    <Form submit={t.common.retry} onSubmit={load}>
      {null}
    </Form>
  ) : (
    <Spinner label={t.common.loading} />
  );
  return { result, load, pending };
}
