import { expect, test } from 'vitest';
import { createFindings } from './findings.ts';

const WARNING = { level: 'warning', code: 'PSYNC_S1174', message: 'All slots are in use.' } as const;
const FATAL = { level: 'fatal', code: 'PSYNC_S1141', message: 'No publication.' } as const;

test('each finding is logged once when it comes and once when it is gone, however often and from wherever it is told', () => {
  const lines: string[] = [];
  const write = (level: string) => (_fields: object, message: string) => void lines.push(`${level} ${message}`);
  let now = 1;
  const log = { info: write('info'), warn: write('warn'), error: write('error') };
  const findings = createFindings({ log, now: () => now });
  findings.note('source', [FATAL, WARNING]);
  now = 2;
  findings.note('source', [FATAL, WARNING]);
  findings.note('tables 1', [WARNING]);
  expect(lines).toEqual(['error No publication.', 'warn All slots are in use.']);
  expect(findings.of('source')).toMatchObject([{ code: 'PSYNC_S1141', sinceMs: 1 }, { sinceMs: 1 }]);
  findings.note('source', []);
  expect(lines.slice(2)).toEqual(['info No longer: No publication.']);
  findings.note('tables 1', []);
  expect(lines.slice(3)).toEqual(['info No longer: All slots are in use.']);
  expect(findings.of('source')).toEqual([]);
});
