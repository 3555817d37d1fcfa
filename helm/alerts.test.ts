import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readAlerts } from './alerts.ts';
import { chartFolder } from './generated.ts';

const runbooks = fileURLToPath(new URL('../docs/runbooks/', import.meta.url));
const alerts = readAlerts(`${chartFolder}alerts`);

describe.each(alerts)('$alert', ({ alert, labels, annotations, ...rest }) => {
  test('has all that an alert needs', () => {
    expect(alert).toMatch(/^Millrace[A-Z][A-Za-z]+$/);
    expect(['critical', 'warning', 'info']).toContain(labels.severity);
    expect(rest.for).toMatch(/^\d+[mh]$/);
    expect(annotations.summary).toMatch(/^[A-Z][^{}]{10,80}[^.]$/);
    expect(annotations.description).toMatch(/\.$/);
    expect(Object.keys(annotations).toSorted()).toEqual(['description', 'runbook_url', 'summary']);
    expect(annotations.runbook_url).toMatch(new RegExp(`/docs/runbooks/${alert}\\.md$`));
  });

  test('has a runbook: meaning, impact, diagnosis with commands, mitigation', () => {
    const text = readFileSync(`${runbooks}${alert}.md`, 'utf8');
    expect(text).toMatch(new RegExp(`^# ${alert}\n`));
    const headings = [...text.matchAll(/^## (.+)$/gm)].map((match) => match[1]);
    expect(headings).toEqual(['Meaning', 'Impact', 'Diagnosis', 'Mitigation']);
    const diagnosis = text.slice(text.indexOf('## Diagnosis'), text.indexOf('## Mitigation'));
    expect(diagnosis).toMatch(/```sh\n[^`]+```/);
  });
});

test('every alert stands in a file of its name', () => {
  const files = readdirSync(`${chartFolder}alerts`).filter((name) => name.endsWith('.yaml'));
  expect(alerts.map(({ alert }) => `${alert}.yaml`)).toEqual(files.toSorted());
});

test('no runbook stands there whose alert is gone', () => {
  const present = readdirSync(runbooks).filter((name) => name !== 'README.md');
  expect(present.toSorted()).toEqual(alerts.map(({ alert }) => `${alert}.md`));
});

test('runbooks link to pages that are there', () => {
  for (const name of readdirSync(runbooks)) {
    const text = readFileSync(`${runbooks}${name}`, 'utf8');
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)) {
      expect([name, target, existsSync(new URL(`../docs/runbooks/${target}`, import.meta.url))]).toEqual([
        name,
        target,
        true,
      ]);
    }
  }
});
