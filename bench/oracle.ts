/**
 * The proofs of the sync config for as long as one likes: random scenarios compared with plain SQL, and every mutant of random queries,
 * each batch from a new seed. Stops at the first failure and prints its seed and the smallest example found; prints what was compared as
 * one JSON line. (Expressions: `RUNS=100000 npm test -- core/sync-config/evaluate/expression`.)
 *
 *     node bench/oracle.ts [seconds] [seed of the first batch]
 */
import fc from 'fast-check';
import { checkScenario, noStatistics } from '#core/sync-config/testing/check-scenario.ts';
import { judgeMutants, noVerdicts } from '#core/sync-config/testing/judge-mutants.ts';
import { unitsOf } from '#core/sync-config/testing/query-units.ts';
import { scenario } from '#core/sync-config/testing/random-scenarios.ts';
import { unitConfig } from '#core/sync-config/testing/random-units.ts';

const seconds = Number(process.argv[2] ?? 60);
const end = performance.now() + seconds * 1000;
const newSeed = (): number => Math.trunc(Math.random() * 2 ** 31);

const statistics = noStatistics();
const verdicts = noVerdicts();
let scenarios = 0;
let withoutPlan = 0;

const likePlainSql = fc.asyncProperty(scenario, async (item) => {
  if (await checkScenario(item, statistics)) scenarios++;
  else withoutPlan++;
});
const failsClosed = fc.asyncProperty(unitConfig, async (text) => {
  for (const unit of unitsOf(text)) judgeMutants(unit, verdicts);
});

/** Runs a batch; false after the report of a failure. */
async function holds(property: typeof likePlainSql | typeof failsClosed, numRuns: number): Promise<boolean> {
  const result = await fc.check<[unknown]>(property as fc.IAsyncProperty<[unknown]>, { seed, numRuns });
  if (!result.failed) return true;
  console.error(await fc.asyncDefaultReportMessage(result));
  console.error(result.errorInstance);
  console.error(`again: node bench/oracle.ts 0 ${seed}`);
  process.exitCode = 1;
  return false;
}

let seed = process.argv[3] === undefined ? newSeed() : Number(process.argv[3]);
while ((await holds(likePlainSql, 100)) && (await holds(failsClosed, 4)) && performance.now() < end) seed = newSeed();
console.log(JSON.stringify({ bench: 'oracle', scenarios, withoutPlan, ...statistics, ...verdicts }));
