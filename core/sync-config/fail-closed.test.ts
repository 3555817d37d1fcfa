import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readCorpus } from './testing/corpus.ts';
import { judgeMutants, noVerdicts } from './testing/judge-mutants.ts';
import { printSelect, withoutPlaces } from './testing/print-sql.ts';
import { unitsOf, type QueryUnit } from './testing/query-units.ts';
import { unitConfig } from './testing/random-units.ts';
import { parseQuery } from './sql/parse-select.ts';

const RUNS = Number(process.env['RUNS'] ?? 40);

/** The examples of the requirements (S chapters 3 to 6), which the corpus has in other words only. */
const REQUIREMENTS = `
config: { edition: 3 }
streams:
  harbours: { query: 'SELECT id, name, country FROM harbours' }
  boat_log:
    with: { my_boats: SELECT boat_id FROM crew WHERE sailor_id = auth.user_id() }
    queries:
      - SELECT * FROM trips WHERE boat_id = subscription.parameter('boat') AND boat_id IN my_boats
      - SELECT * FROM repairs WHERE boat_id = subscription.parameter('boat') AND boat_id IN my_boats
  arrays:
    queries:
      - SELECT * FROM boats WHERE id IN auth.parameter('boat_ids')
      - SELECT * FROM boats JOIN json_each(auth.parameter('boat_ids')) AS mine ON boats.id = mine.value
      - SELECT * FROM boats WHERE id IN (SELECT value FROM json_each(auth.parameter('boat_ids')))
      - SELECT * FROM trips WHERE subscription.parameter('tag') IN tags
      - SELECT * FROM trips WHERE watcher_ids && (SELECT id FROM sailors WHERE club_id = auth.parameter('club'))
  combined:
    queries:
      - |
        SELECT * FROM trips WHERE status = 'open' AND (owner_id = auth.user_id()
           OR id IN (SELECT trip_id FROM crew WHERE sailor_id = auth.user_id())
           OR auth.parameter('role') = 'harbourmaster')
      - |
        SELECT repairs.* FROM repairs JOIN boats ON repairs.boat_id = boats.id
           JOIN crew c ON c.boat_id = boats.id AND c.sailor_id = auth.user_id() WHERE boats.scrapped = false
bucket_definitions:
  boat_data:
    parameters:
      - SELECT boat_id FROM crew WHERE sailor_id = request.user_id()
      - SELECT id AS boat_id FROM boats WHERE owner_id = request.user_id()
    data:
      - SELECT * FROM boats WHERE id = bucket.boat_id
      - SELECT id, started_at, note FROM trips WHERE boat_id = bucket.boat_id AND deleted = false
      - SELECT * FROM sailors WHERE bucket.boat_id IN boat_ids
`;

const known = [...readCorpus(), ...unitsOf(REQUIREMENTS)];

describe('queries as text again, for what follows', () => {
  const check = (item: QueryUnit): void => {
    const selects = item.kind === 'stream' ? [item.query, ...item.ctes.values()] : [...item.parameters, ...item.data];
    for (const select of selects) {
      expect(withoutPlaces(parseQuery(printSelect(select)).select)).toEqual(withoutPlaces(select));
    }
  };
  test('a query that is printed and read again is the same', () => {
    for (const item of known) check(item);
    fc.assert(
      fc.property(unitConfig, (text) => unitsOf(text).forEach(check)),
      { numRuns: RUNS },
    );
  });
});

describe('a condition that changes changes the plan, or the query is refused (G4)', () => {
  test('every accepted query of the documents and tests', { timeout: 300_000 }, () => {
    expect(known.length).toBeGreaterThan(300);
    const verdicts = noVerdicts();
    for (const item of known) judgeMutants(item, verdicts);
    expect(verdicts.refused + verdicts.changed).toBeGreaterThan(8 * known.length);
    // few changes mean the same, and the data that shows this tells almost all others apart
    expect(verdicts.equivalent).toBeLessThan(known.length / 20);
    expect(verdicts.toldApart / verdicts.asked).toBeGreaterThan(0.8);
  });

  test('random queries', { timeout: 20_000 + 2_000 * RUNS }, () => {
    const verdicts = noVerdicts();
    fc.assert(
      // none when the query has more branches than are possible, or an OR that bucket definitions do not have
      fc.property(unitConfig, (text) => unitsOf(text).forEach((item) => judgeMutants(item, verdicts, 30))),
      { numRuns: RUNS },
    );
    expect(verdicts.changed).toBeGreaterThan(RUNS);
    expect(verdicts.toldApart / verdicts.asked).toBeGreaterThan(0.3);
  });
});
