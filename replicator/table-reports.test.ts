import { expect, test } from 'vitest';
import type { TableReport } from './sources/contract.ts';
import { createTableReports, type KnownTableReport } from './table-reports.ts';

const report = (rows?: string, code?: string): TableReport => ({
  schema: 'public',
  name: 't',
  identityColumns: ['id'],
  errors: code === undefined ? [] : [{ level: 'fatal', code, message: 'not published' }],
  ...(rows === undefined ? {} : { rows }),
});
const altered = { level: 'warning', code: 'PSYNC_S1154', message: expect.stringContaining('public.t') as string };

test('a row filter that was changed since the copy is said, after a restart and after it was changed back too (R-98)', () => {
  const reports = createTableReports([]);
  expect(reports.note([report('(id < 10)')])).toBe(true);
  expect(reports.note([report('(id < 10)')])).toBe(false);
  expect(reports.latest[0]!.errors).toEqual([]);
  expect(reports.note([report('')])).toBe(true);
  expect(reports.latest[0]!.errors).toEqual([altered]);
  expect(reports.note([report('')])).toBe(false);

  const restarted = createTableReports(JSON.parse(JSON.stringify(reports.latest)) as KnownTableReport[]);
  expect(restarted.note([report('')])).toBe(false);
  expect(restarted.note([report('(id < 10)')])).toBe(true);
  expect(restarted.latest[0]!.errors).toEqual([altered]);
});

test('a table that was not published is copied when it is again, with the filter it has then', () => {
  const reports = createTableReports([]);
  reports.note([report('')]);
  reports.note([report(undefined, 'PSYNC_S1151')]);
  expect(reports.takeRecovered()).toEqual(new Set());
  reports.note([report('(id < 10)')]);
  expect(reports.takeRecovered()).toEqual(new Set(['public.t']));
  expect(reports.latest[0]!.errors).toEqual([]);
  reports.note([report('')]);
  expect(reports.latest[0]!.errors).toEqual([altered]);
});

test('the first look of a stream is what it is copied by', () => {
  const reports = createTableReports([{ schema: 'public', name: 't', identityColumns: ['id'], errors: [] }]);
  reports.note([report('(id < 10)')]);
  expect(reports.latest[0]!.errors).toEqual([]);
});
