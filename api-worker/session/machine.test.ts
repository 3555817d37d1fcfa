import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { TABLE } from './machine.ts';

test('the table of SPEC.md is the one that runs', () => {
  const lines = readFileSync(join(import.meta.dirname, 'SPEC.md'), 'utf8').split('\n');
  const cells = (line: string): string[] =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
  const from = lines.findIndex((line) => line.startsWith('| state | woken |'));
  const [, ...events] = cells(lines[from]!);
  const rows = lines.slice(from + 2, lines.indexOf('', from)).map(cells);
  const written = Object.fromEntries(
    rows.map(([state, ...reactions]) => [
      state,
      Object.fromEntries(reactions.map((reaction, index) => [events[index], reaction])),
    ]),
  );
  expect(written).toEqual(TABLE);
});
