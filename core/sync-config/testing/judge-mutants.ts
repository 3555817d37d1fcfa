/** For tests: what becomes of the mutants of a query (G4). */
import assert from 'node:assert/strict';
import { distinguishable } from './distinguish.ts';
import { compileUnit, configOf, meaningOf, unitMutants, type QueryUnit } from './query-units.ts';

/** How many mutants the compiler refused, gave another plan, or gave the same plan since they mean the same. */
export interface Verdicts {
  refused: number;
  changed: number;
  equivalent: number;
  /** Of those with another plan: for how many data was asked for, and how many it told apart. */
  asked: number;
  toldApart: number;
}
export const noVerdicts = (): Verdicts => ({ refused: 0, changed: 0, equivalent: 0, asked: 0, toldApart: 0 });

/** Data sets that must not tell apart what has the same plan. */
const TRIES = 500;
/** Data that distinguishes nothing would show nothing: each so many-th mutant with another plan is asked too. */
const SAMPLE = 25;
const SAMPLE_TRIES = 60;

/**
 * Throws when a mutant has the same plan although some data tell the two apart: then a condition got lost. Of more than `most` mutants
 * some are left out, others for each unit.
 */
export function judgeMutants(unit: QueryUnit, verdicts: Verdicts, most = Number.POSITIVE_INFINITY): void {
  const plan = compileUnit(unit);
  assert(plan !== null, 'the query is accepted');
  const meaning = meaningOf(plan);
  const mutants = unitMutants(unit);
  const stride = Math.max(1, Math.ceil(mutants.length / most));
  const first = (verdicts.changed + verdicts.refused) % stride;
  for (const { what, tree } of mutants.filter((_, at) => at % stride === first)) {
    const other = compileUnit(tree);
    if (other === null) {
      verdicts.refused++;
    } else if (meaningOf(other) !== meaning) {
      if (verdicts.changed++ % SAMPLE > 0) continue;
      verdicts.asked++;
      if (distinguishable(unit, tree, SAMPLE_TRIES)) verdicts.toldApart++;
    } else {
      const same = !distinguishable(unit, tree, TRIES);
      assert(same, `the plan does not see a change (${what}):\n${configOf(unit)}\nand\n${configOf(tree)}`);
      verdicts.equivalent++;
    }
  }
}
