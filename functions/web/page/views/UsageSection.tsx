import { useEffect, useState } from "preact/hooks";
import type { Budget, DailyUsage, Page } from "../api/types.ts";
import { Spinner } from "../components/controls.tsx";
import { report } from "../state/notices.ts";
import { api, persist } from "../state/session.ts";
import { date, dollars } from "../text/format.ts";
import { t } from "../text/index.ts";

const DAYS = 30;
const DAY_MS = 86_400_000;

interface UsagePage extends Page<DailyUsage> {
  budget: Budget;
}

/** The budget of the month, the cost of each day, and the figures by model. */
export function UsageSection() {
  const [budget, setBudget] = useState<Budget | null>(null);
  const [rows, setRows] = useState<DailyUsage[] | null>(null);
  useEffect(() => {
    load().then(([found, days]) => {
      setBudget(found);
      setRows(days);
    }, report);
  }, []);
  if (budget === null || rows === null) return <Spinner label={t.common.loading} />;
  const used = budget.monthly_usd > 0 ? Math.min(1, budget.spent_usd / budget.monthly_usd) : 1;
  return (
    <>
      <div class="panel">
        <h3>{t.settings.budget}</h3>
        <p class="figure">{t.settings.spent(dollars(budget.spent_usd), dollars(budget.monthly_usd))}</p>
        <meter aria-label={t.settings.budget} min={0} max={1} low={0.75} high={0.9} optimum={0} value={used} />
        <p class="hint">{t.settings.resets(date(budget.resets_at))}</p>
      </div>
      <div class="panel">
        <h3>{t.settings.usageByDay}</h3>
        {rows.length === 0 ? <p class="hint">{t.settings.usageEmpty}</p> : <Chart rows={rows} />}
      </div>
      {rows.length > 0 && <UsageTable rows={rows} />}
    </>
  );
}

async function load(): Promise<[Budget, DailyUsage[]]> {
  const from = new Date(Date.now() - (DAYS - 1) * DAY_MS).toISOString().slice(0, 10);
  const first = await persist(() => api.get<UsagePage>("usage", { from, limit: 100 }));
  const rows = [...first.items];
  for (let cursor = first.next_cursor; cursor !== null && rows.length < 1000; ) {
    const page: UsagePage = await api.get<UsagePage>("usage", { from, limit: 100, cursor });
    rows.push(...page.items);
    cursor = page.next_cursor;
  }
  return [first.budget, rows];
}

/** A column for each of the last days. */
function Chart({ rows }: { rows: DailyUsage[] }) {
  const days = Array.from({ length: DAYS }, (_, index) =>
    new Date(Date.now() - (DAYS - 1 - index) * DAY_MS).toISOString().slice(0, 10),
  );
  const costs = days.map((day) => rows.filter((row) => row.day === day).reduce((sum, row) => sum + row.cost_usd, 0));
  const tokens = days.map((day) =>
    rows.filter((row) => row.day === day).reduce((sum, row) => sum + row.output_tokens, 0),
  );
  // Models without a price cost nothing: then the columns show tokens.
  const values = costs.some((cost) => cost > 0) ? costs : tokens;
  const most = Math.max(...values) || 1;
  return (
    <svg class="chart" viewBox="0 0 300 96" role="img" aria-label={t.settings.usageByDay} preserveAspectRatio="none">
      {values.map((value, index) => {
        const height = Math.max(value > 0 ? 3 : 1, (value / most) * 90);
        return (
          <rect
            key={days[index]}
            class={value > 0 ? "bar" : "bar is-zero"}
            x={index * 10 + 1}
            y={94 - height}
            width={8}
            height={height}
            rx={2}
          >
            <title>{`${date(`${days[index]}T12:00`)}: ${dollars(costs[index] ?? 0)}`}</title>
          </rect>
        );
      })}
    </svg>
  );
}

function UsageTable({ rows }: { rows: DailyUsage[] }) {
  const { day, model, input, output, cost } = t.settings.usageTable;
  return (
    <div class="table" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">{day}</th>
            <th scope="col">{model}</th>
            <th scope="col" class="number">
              {input}
            </th>
            <th scope="col" class="number">
              {output}
            </th>
            <th scope="col" class="number">
              {cost}
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.day}-${row.model}`}>
              <td>{date(`${row.day}T12:00`)}</td>
              <td>{row.model}</td>
              <td class="number">{row.input_tokens.toLocaleString(t.locale)}</td>
              <td class="number">{row.output_tokens.toLocaleString(t.locale)}</td>
              <td class="number">{dollars(row.cost_usd)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
