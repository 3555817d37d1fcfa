/**
 * Evaluation speed on one core: rows per second through the compiled plan of two streams over a table of ten columns (one
 * for everybody with a filter that four of five rows pass, one by owner), without and with rendering. Prints one JSON line.
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
    query: SELECT * FROM measured WHERE done = 0 AND quantity >= 0
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
  n % 5 === 0 ? 1n : 0n,
  '2024-02-29T12:34:56.789000Z',
  `{"n": ${n}, "tag": "x${n}"}`,
]);

let buckets = 0;
let renders = 0;
let characters = 0;
const sink: RowSink = {
  bucket: (_definition, key, _type, id, data) => {
    buckets += key.length + id.length > 0 ? 1 : 0;
    if (data === null) return;
    renders++;
    characters += data.length;
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
  buckets,
  averageCharacters: Math.round(characters / renders),
};
console.log(JSON.stringify(result));
