/**
 * The proofs of the sync config for as long as one likes: random scenarios compared with plain SQL, each batch from a new seed. Stops at
 * the first difference and prints its seed and the smallest scenario found; prints what was compared as one JSON line.
 *
 *     node bench/oracle.ts [seconds] [seed of the first batch]
 */
import fc from 'fast-check';
import { checkScenario, noStatistics } from '#core/sync-config/testing/check-scenario.ts';
import { scenario } from '#core/sync-config/testing/random-scenarios.ts';

const seconds = Number(process.argv[2] ?? 60);
const end = performance.now() + seconds * 1000;
/** Scenarios of one seed. */
const BATCH = 100;
const newSeed = (): number => Math.trunc(Math.random() * 2 ** 31);

const statistics = noStatistics();
let scenarios = 0;
let withoutPlan = 0;
let seed = process.argv[3] === undefined ? newSeed() : Number(process.argv[3]);
const property = fc.asyncProperty(scenario, async (item) => {
  if (await checkScenario(item, statistics)) scenarios++;
  else withoutPlan++;
});
do {
  const result = await fc.check(property, { seed, numRuns: BATCH });
  if (result.failed) {
    console.error(await fc.asyncDefaultReportMessage(result));
    console.error(result.errorInstance);
    console.error(`again: node bench/oracle.ts 0 ${seed}`);
    process.exitCode = 1;
    break;
  }
  seed = newSeed();
} while (performance.now() < end);
console.log(JSON.stringify({ bench: 'oracle', scenarios, withoutPlan, ...statistics }));
