import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

/** An alert of the chart, as in a rule file of Prometheus. */
export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: 'critical' | 'warning' | 'info' };
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook_url: string };
}

/** The alerts of a folder `alerts/`, in the order of their files. Each stands in a file of its own name. */
export function readAlerts(folder: string): Alert[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  return files.toSorted().map((file) => parse(readFileSync(join(folder, file), 'utf8')) as Alert);
}

/** The alerts as a table in Markdown, with links to the runbooks. */
export function alertsTable(alerts: readonly Alert[]): string {
  const rows = alerts.map(({ alert, labels, annotations }) => {
    const summary = annotations.summary.replaceAll('|', '\\|');
    return `| [${alert}](../../docs/runbooks/${alert}.md) | ${labels.severity} | ${summary} |`;
  });
  return ['| alert | severity | summary |', '| --- | --- | --- |', ...rows].join('\n');
}
