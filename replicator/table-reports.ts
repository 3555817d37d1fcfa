/** What a source says of the tables that a stream wants: which cannot be replicated, and which can be at last. */
import type { TableReport } from './sources/contract.ts';

export interface TableReports {
  readonly latest: readonly TableReport[];
  /** True when they changed. */
  note(reports: readonly TableReport[]): boolean;
  /** Names of tables that could not be replicated and now can be, since it was last asked. */
  takeRecovered(): ReadonlySet<string>;
}

export function createTableReports(stored: readonly TableReport[]): TableReports {
  let latest = stored;
  let recovered = new Set<string>();
  return {
    get latest() {
      return latest;
    },
    note(reports) {
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

export function tableName({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return `${schema}.${name}`;
}

function isUnusable({ errors }: TableReport): boolean {
  return errors.some(({ level }) => level === 'fatal');
}
