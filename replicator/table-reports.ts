/** What a source says of the tables that a stream wants: which cannot be replicated, and which can be at last. */
import type { TableReport } from './sources/contract.ts';

/** A report with what is known from before. */
export interface KnownTableReport extends TableReport {
  /** What `rows` was when the table was copied. */
  readonly rowsCopied?: string;
  /** `rows` has been something else since. */
  readonly altered?: true;
}

export interface TableReports {
  readonly latest: readonly KnownTableReport[];
  /** True when they changed. Adds what is known from before. */
  note(reports: readonly TableReport[]): boolean;
  /** Names of tables that could not be replicated and now can be, since it was last asked. */
  takeRecovered(): ReadonlySet<string>;
}

export function createTableReports(stored: readonly KnownTableReport[]): TableReports {
  let latest = stored;
  let recovered = new Set<string>();
  return {
    get latest() {
      return latest;
    },
    note(found) {
      const former = new Map(latest.map((report) => [tableName(report), report]));
      const reports = found.map((report) => withHistory(report, former.get(tableName(report))));
      const changed = JSON.stringify(reports) !== JSON.stringify(latest);
      const unusable = new Set(latest.filter(isUnusable).map(tableName));
      for (const report of reports) {
        const name = tableName(report);
        if (isUnusable(report)) recovered.delete(name);
        else if (unusable.has(name)) recovered.add(name);
      }
      latest = reports;
      return changed;
    },
    takeRecovered() {
      const names = recovered;
      recovered = new Set();
      return names;
    },
  };
}

/** What was left out of a copy does not come back by itself, and what was left out of the stream is lost: said until the table is copied again. */
function withHistory(found: TableReport, former: KnownTableReport | undefined): KnownTableReport {
  const { rows } = found;
  if (rows === undefined) return found;
  const known = former === undefined || isUnusable(former) ? undefined : former.rowsCopied;
  const rowsCopied = known ?? rows;
  if (known === undefined || (former?.altered !== true && rows === known)) return { ...found, rowsCopied };
  const message = `Which rows of ${tableName(found)} are published was changed since it was copied: rows may be missing, or too many. Reprocess the sync config to copy it again.`;
  return {
    ...found,
    rowsCopied,
    altered: true,
    errors: [...found.errors, { level: 'warning', code: 'PSYNC_S1154', message }],
  };
}

export function tableName({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return `${schema}.${name}`;
}

function isUnusable({ errors }: TableReport): boolean {
  return errors.some(({ level }) => level === 'fatal');
}
