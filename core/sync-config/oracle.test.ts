import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkScenario, noStatistics } from './testing/check-scenario.ts';
import { COUNTEREXAMPLES } from './testing/counterexamples.ts';
import { scenario } from './testing/random-scenarios.ts';

/** As long as one likes: `RUNS=5000`, or `node bench/oracle.ts 600`. */
const RUNS = Number(process.env['RUNS'] ?? 400);

describe('what a session gets equals plain SQL after every change (G3, G4)', () => {
  test(
    'random schemas, configs, people and changes',
    async () => {
      const statistics = noStatistics();
      let plans = 0;
      let scenarios = 0;
      await fc.assert(
        fc.asyncProperty(scenario, async (item) => {
          scenarios++;
          if (await checkScenario(item, statistics)) plans++;
        }),
        { numRuns: RUNS },
      );
      // the comparisons must not be of empty sets, nor the promises about changes of nothing
      const { answers, partial, stable, moved, merged } = statistics;
      expect(plans / scenarios).toBeGreaterThan(0.9);
      expect(partial / answers).toBeGreaterThan(0.1);
      if (RUNS >= 200) expect(Math.min(stable, moved, merged)).toBeGreaterThan(0);
    },
    // by default seconds; a slow machine gets time
    20_000 + RUNS * 200,
  );

  test.each(COUNTEREXAMPLES)('$name', async ({ scenario, rows }) => {
    const statistics = noStatistics();
    expect(await checkScenario(scenario, statistics)).toBe(true);
    expect(statistics.lastRows).toBe(rows);
  });
});
