import fc from 'fast-check';
import { expect, test } from 'vitest';
import { describeDiagnostic } from './excerpt.ts';
import { compile } from './testing/support.ts';

test('a finding stands with its file, line, column and code, and its line is marked (S-32)', () => {
  const text = `config:
  edition: 3
streams:
  mine:
    auto_subscribe: true
    query: SELECT * FROM items WHERE nope(owner_id) = auth.user_id()
`;
  const { diagnostics } = compile(text);
  expect(diagnostics.map((found) => describeDiagnostic('sync-config.yaml', text, found))).toEqual([
    `sync-config.yaml:6:38: error [PSYNC_R2203] ${diagnostics[0]!.message}
    6 |     query: SELECT * FROM items WHERE nope(owner_id) = auth.user_id()
      |                                      ^^^^`,
  ]);
});

test('the mark stands below what it marks, in long lines and behind tabs too', () => {
  const word = fc.string({ unit: fc.constantFrom('a', '\t', ' ', 'é'), maxLength: 200 });
  fc.assert(
    fc.property(word, word, fc.nat(20), (before, after, lines) => {
      const text = `${'x\n'.repeat(lines)}${before}MARKED${after}\r\nlast`;
      const startOffset = 2 * lines + before.length;
      const [, shown, mark] = describeDiagnostic('f', text, {
        level: 'error',
        code: 'PSYNC_R0001',
        message: 'm',
        line: lines + 1,
        column: before.length + 1,
        startOffset,
        endOffset: startOffset + 6,
      }).split('\n') as [string, string, string];
      expect(mark.length).toBeLessThanOrEqual(shown.length);
      const from = mark.indexOf('^');
      expect(shown.slice(from, from + 6)).toBe('MARKED');
      expect(mark.slice(from)).toBe('^^^^^^');
      const tabs = (line: string): number[] =>
        Array.from({ length: from }, (_, at) => at).filter((at) => line[at] === '\t');
      expect(tabs(mark)).toEqual(tabs(shown));
    }),
  );
});
