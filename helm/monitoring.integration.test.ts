import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { METRICS } from '#core/platform/metrics.ts';
import { OPERATOR_METRICS } from '#operator/metrics.ts';
import { until } from '#test/instance/instance.ts';
import { startPrometheus, type Prometheus } from '#test/services/prometheus.ts';
import { prometheusPrograms } from '#test/services/prometheus-programs.ts';
import { readAlerts } from './alerts.ts';
import { dashboards } from './dashboards/dashboards.ts';
import type { DashboardDescription, PanelDescription, Query } from './dashboards/description.ts';
import { startExposition, type Exposition } from './exposition.fixture.ts';
import { chartFolder } from './generated.ts';

const run = promisify(execFile);
const alertsFolder = join(chartFolder, 'alerts');
const alerts = readAlerts(alertsFolder);

/** As the chart puts them into its PrometheusRule (chart.integration.test.ts); all of them, or one. */
function ruleFile(name?: string): object {
  const chosen = alerts.filter(({ alert }) => name === undefined || alert === name);
  return { groups: [{ name: 'millrace', rules: chosen }] };
}

describe('alerts', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-alerts-'));
    await writeFile(join(folder, 'rules.yaml'), stringify(ruleFile()));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test.each(alerts)('$alert fires when it should, and not otherwise', async ({ alert }) => {
    const { promtool } = await prometheusPrograms();
    // Alone: the longest test lasts days, and every rule is evaluated at every step.
    const own = join(folder, alert);
    await mkdir(own);
    await writeFile(join(own, 'rules.yaml'), stringify(ruleFile(alert)));
    await copyFile(join(alertsFolder, 'tests', `${alert}.yaml`), join(own, 'test.yaml'));
    const result = await run(promtool, ['test', 'rules', join(own, 'test.yaml')], { timeout: 60_000 }).catch(
      (error: { stdout: string; stderr: string }) => error,
    );
    expect(`${result.stdout}${result.stderr}`).toContain('SUCCESS');
  });

  test('promtool accepts the rules', async () => {
    const { promtool } = await prometheusPrograms();
    const { stdout } = await run(promtool, [
      'check',
      'rules',
      '--lint=all',
      '--lint-fatal',
      join(folder, 'rules.yaml'),
    ]);
    expect(stdout).toContain(`SUCCESS: ${alerts.length} rules found`);
  });

  test.each(alerts)('$alert has a test of when it fires and one of when it does not', async ({ alert }) => {
    const text = await readFile(join(alertsFolder, 'tests', `${alert}.yaml`), 'utf8');
    const { tests } = parse(text) as { tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[] };
    const checks = tests.flatMap(({ alert_rule_test }) => alert_rule_test);
    expect(new Set(checks.map(({ alertname }) => alertname))).toEqual(new Set([alert]));
    expect(checks.some(({ exp_alerts }) => exp_alerts.length > 0)).toBe(true);
    const quiet = tests.filter(({ alert_rule_test }) =>
      alert_rule_test.every(({ exp_alerts }) => exp_alerts.length === 0),
    );
    expect(quiet).not.toEqual([]);
  });

  test('no test stands there whose alert is gone', async () => {
    const tests = await readdir(join(alertsFolder, 'tests'));
    expect(tests.toSorted()).toEqual(alerts.map(({ alert }) => `${alert}.yaml`));
  });
});

describe('dashboards and alerts on a real Prometheus', () => {
  let exposition: Exposition;
  let prometheus: Prometheus;

  beforeAll(async () => {
    exposition = await startExposition();
    prometheus = await startPrometheus({ targets: exposition.targets, rules: ruleFile() });
    const scraped = async () => Number((await prometheus.query('min(count_over_time(up[1m]))'))[0]?.value[1] ?? 0);
    // Rates need two scrapes of every target, and a margin.
    const isScraped = async (): Promise<boolean> => (await scraped()) >= 4;
    await until('all targets to be scraped', isScraped, 60_000, () => prometheus.log());
  });
  afterAll(async () => {
    await prometheus?.close();
    await exposition?.close();
  });

  test('all targets are scraped without an error', async () => {
    const { activeTargets } = await prometheus.api<{ activeTargets: { health: string; lastError: string }[] }>(
      'targets',
    );
    expect(activeTargets.map(({ health, lastError }) => [health, lastError])).toEqual(
      exposition.targets.map(() => ['up', '']),
    );
  });

  test.each(dashboards.flatMap(panelsOf))('$where', async ({ queries, labels }) => {
    const columns = new Set<string>();
    for (const { expr, legend } of queries) {
      const samples = await prometheus.query(withVariables(expr));
      // `expr` says which query it is, should it have no result.
      expect([expr, samples.length > 0]).toEqual([expr, true]);
      const named = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1]!);
      for (const { metric } of samples) {
        expect(Object.keys(metric)).toEqual(expect.arrayContaining(named));
        for (const label of Object.keys(metric)) columns.add(label);
      }
    }
    expect([...columns]).toEqual(expect.arrayContaining([...labels]));
  });

  test.each(
    dashboards.flatMap(({ name, variables }) => variables.map((variable) => ({ dashboard: name, ...variable }))),
  )('$dashboard: choices of $name come from a metric and label that are there', async ({ query }) => {
    const [, selector, label] = /^label_values\((.+), (\w+)\)$/.exec(query) ?? [];
    const samples = await prometheus.query(withVariables(selector ?? ''));
    expect(samples.map(({ metric }) => metric[label ?? ''])).not.toEqual([]);
    expect(samples.every(({ metric }) => metric[label ?? ''] !== undefined)).toBe(true);
  });

  test('every alert is evaluated without an error', async () => {
    const { groups } = await prometheus.api<{
      groups: { rules: { name: string; health: string; lastError?: string }[] }[];
    }>('rules');
    const evaluated = groups.flatMap((group) => group.rules);
    expect(evaluated.map(({ name }) => name).toSorted()).toEqual(alerts.map(({ alert }) => alert).toSorted());
    expect(evaluated.filter(({ health }) => health !== 'ok')).toEqual([]);
  });

  test.each(alerts)('$alert reads metrics and labels that are there', async ({ expr }) => {
    const selectors = selectorsOf(expr);
    expect(selectors).not.toEqual([]);
    const labels = new Set<string>();
    for (const selector of selectors) {
      const samples = await prometheus.query(selector);
      expect([selector, samples.length > 0]).toEqual([selector, true]);
      for (const { metric } of samples) for (const label of Object.keys(metric)) labels.add(label);
    }
    // `by` and `on` must name labels of the metrics: a label that is nowhere would silently merge everything.
    for (const label of groupingLabels(expr)) expect([...labels]).toContain(label);
  });

  test('every metric of ours is exposed by some process', async () => {
    const names = new Set(
      (await prometheus.api<string[]>('label/__name__/values')).map((name) => name.replace(/_(bucket|sum|count)$/, '')),
    );
    for (const name of [...Object.keys(METRICS), ...Object.keys(OPERATOR_METRICS)]) expect(names).toContain(name);
  });
});

type PanelCase = { where: string; queries: readonly Query[]; labels: readonly string[] };

function panelsOf({ name, rows }: DashboardDescription): PanelCase[] {
  return rows.flatMap(({ title, panels }) =>
    panels.map((panel: PanelDescription) => ({
      where: `${name}: ${title}: ${panel.title}`,
      queries: panel.kind === 'table' ? panel.columns : panel.queries,
      labels: panel.kind === 'table' ? panel.labels : [],
    })),
  );
}

/** What Grafana puts in place of variables: what is chosen, and an interval with some scrapes in it. */
function withVariables(expression: string): string {
  return expression
    .replaceAll('$__rate_interval', '30s')
    .replaceAll('$namespace', 'apps')
    .replaceAll('$instance', 'demo')
    .replaceAll('$source', 'default')
    .replaceAll('$pod', '.*');
}

/** Every metric of ours with its matchers. */
function selectorsOf(expression: string): string[] {
  return [...expression.matchAll(/\b(?:millrace|powersync)_\w+(?:\{[^}]*\})?/g)].map(([selector]) => selector);
}

function groupingLabels(expression: string): string[] {
  const lists = [...expression.matchAll(/\b(?:by|on|without|ignoring)\s*\(([^)]*)\)/g)].map((match) => match[1]!);
  return lists
    .flatMap((list) => list.split(','))
    .map((label) => label.trim())
    .filter((label) => label !== '');
}
