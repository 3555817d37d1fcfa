/**
 * Evaluation speed on one core: rows per second through the compiled plan of two streams (one for everybody, one by
 * owner) over a table of ten columns, without and with rendering. Prints one JSON line.
 *
 *     node bench/evaluate.ts [seconds per figure]
 */
import { compileSyncConfig } from '#core/sync-config/compile.ts';
import type { RowSink, TableEvaluator } from '#core/sync-config/contract.ts';
import { createTableEvaluator } from '#core/sync-config/evaluate/table-evaluator.ts';
import type { SourceRow } from '#core/sync-config/values.ts';

const seconds = Number(process.argv[2] ?? 3);
const config = `
config: { edition: 3 }
streams:
  everything:
    auto_subscribe: true
    query: SELECT * FROM measured
  mine:
    auto_subscribe: true
    query: SELECT * FROM measured WHERE owner = auth.user_id()
`;
const columns = ['id', 'owner', 'title', 'note', 'amount', 'quantity', 'total', 'done', 'created_at', 'payload'];

const compiled = compileSyncConfig(config, {
  defaultSource: 'default',
  sources: ['default'],
  defaultSchemas: { default: 'public' },
});
if (compiled.plan === null) throw new Error(JSON.stringify(compiled.diagnostics));
const evaluator = createTableEvaluator(compiled.plan, {
  source: 'default',
  schema: 'public',
  name: 'measured',
  columns,
});
if (evaluator === null) throw new Error('nothing reads the table');

const rows = Array.from({ length: 10_000 }, (_, n): SourceRow => [
  `01920000-0000-7000-8000-${String(n).padStart(12, '0')}`,
  `01920000-0000-7000-8000-${String(n % 1000).padStart(12, '0')}`,
  `Title of row ${n}`,
  `note ${(n * 2654435761).toString(16)} with some text behind it`,
  (n / 7).toFixed(6),
  BigInt(n),
  BigInt(n) * 1_000_000_007n,
  BigInt(n % 2),
  '2024-02-29T12:34:56.789000Z',
  `{"n": ${n}, "tag": "x${n}"}`,
]);

let calls = 0;
let characters = 0;
const sink: RowSink = {
  bucket: (_definition, key, _type, id, data) => {
    calls++;
    characters += key.length + id.length + (data?.length ?? 0);
  },
  lookup: () => {},
  writeCheckpoint: () => {},
  rejected: () => {},
};

function rowsPerSecond(run: (row: SourceRow) => void): number {
  for (const row of rows) run(row);
  const startMs = performance.now();
  let count = 0;
  while (performance.now() - startMs < seconds * 1000) {
    for (const row of rows) run(row);
    count += rows.length;
  }
  return Math.round((count / (performance.now() - startMs)) * 1000);
}

const { members, evaluate }: TableEvaluator = evaluator;
const result = {
  membersRowsPerSecond: rowsPerSecond((row) => members(row, sink)),
  renderedRowsPerSecond: rowsPerSecond((row) => evaluate(row, sink)),
  columns: columns.length,
  streams: 2,
  averageCharacters: Math.round(characters / calls),
};
console.log(JSON.stringify(result));
