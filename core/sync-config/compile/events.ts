/** Custom write checkpoints (S-484…S-491). */
import type { PlanEventRule, PlanExpr } from '../plan.ts';
import { SqlError, type Select } from '../sql/ast.ts';
import type { EventConfig } from '../yaml/structure.ts';
import { bindSelect } from './bind-select.ts';
import { toPlan, worldOf } from './bound.ts';
import { branchesOf } from './condition.ts';
import { attempt, watch, type QueryContext } from './context.ts';
import { openBranch } from './ledger.ts';
import type { PlanBuilder } from './plan-builder.ts';

const COLUMNS = ['user_id', 'client_id', 'checkpoint'];

export function compileEvent(
  event: EventConfig,
  payloads: readonly Select[],
  context: QueryContext,
  builder: PlanBuilder,
): void {
  const eventContext: QueryContext = { ...context, dialect: 'event' };
  const rules = payloads.flatMap((select) => attempt(eventContext, () => payloadRules(select, eventContext), []));
  for (const source of new Set(rules.map((rule) => rule.table.source))) {
    builder.addEvent(
      event.name,
      source,
      rules.filter((rule) => rule.table.source === source),
    );
  }
}

function payloadRules(select: Select, context: QueryContext): PlanEventRule[] {
  const { context: watched, failed } = watch(context);
  const bound = bindSelect(select, null, watched);
  if (failed() || !bound.complete) return [];
  const [table] = bound.visible;
  if (bound.visible.length !== 1 || table?.kind !== 'table') {
    throw new SqlError('PSYNC_R2227', 'A payload query reads exactly one table.', select);
  }
  const values = new Map<string, PlanExpr>();
  for (const item of bound.items) {
    const kind = item.kind === 'star' ? 'mixed' : worldOf(item.value).kind;
    if (item.kind === 'star' || (kind !== 'row' && kind !== 'constant')) {
      throw new SqlError('PSYNC_R2226', `A payload query selects ${COLUMNS.join(', ')} of its row.`, item.span);
    }
    if (item.name === null || !COLUMNS.includes(item.name) || values.has(item.name)) {
      throw new SqlError(
        'PSYNC_R2226',
        `A payload query selects exactly ${COLUMNS.join(', ')}; name its columns with AS.`,
        item.span,
      );
    }
    values.set(item.name, toPlan(item.value, []));
  }
  const [userId, clientId, checkpoint] = COLUMNS.map((name) => values.get(name));
  if (userId === undefined || clientId === undefined || checkpoint === undefined) {
    throw new SqlError(
      'PSYNC_R2226',
      `A payload query selects ${COLUMNS.join(', ')}; name its columns with AS.`,
      select,
    );
  }
  return branchesOf(bound.condition, select).map((branch) => {
    const ledger = openBranch(branch.leaves.map((leaf) => leaf.claim));
    const filters = branch.leaves.map((leaf) => {
      if (leaf.kind === 'match' || !['row', 'constant'].includes(worldOf(leaf.value).kind)) {
        throw new SqlError('PSYNC_R2228', 'A payload query filters by values of its row only.', leaf.claim);
      }
      ledger.use(leaf.claim, 'filter');
      return toPlan(leaf.value, []);
    });
    ledger.verify();
    return { table: table.pattern, filters, userId, clientId, checkpoint };
  });
}
