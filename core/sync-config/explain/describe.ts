/** Reasons of an explanation as sentences without a full stop. */
import type { AccessReason, Evaluated, RowReason } from './contract.ts';

/** Values of a list, or rows, that are named in one sentence. */
const MOST_NAMED = 3;

/** `archived = 0 is false (archived is 1)`. */
export function describeRowReason(reason: RowReason): string {
  switch (reason.kind) {
    case 'filter':
      return untrue(reason);
    case 'element-filter':
      return `${untrue(reason)}, for an element of the list`;
    case 'no-elements':
      return `${reason.sql} has no elements: it is ${reason.value}`;
    case 'null-key':
      return `${isNothing(reason)}, which equals nothing${given(reason)}`;
    case 'null-id':
      return `it has no id on the client: ${isNothing(reason)}${given(reason)}`;
    case 'not-syncable':
      return `[${reason.code}] ${reason.message}`;
  }
}

/** `who` is the user's name. */
export function describeAccessReason(reason: AccessReason, who: string): string {
  switch (reason.kind) {
    case 'gate':
      return untrue(reason);
    case 'null-value':
      return `${isNothing(reason)}, which equals nothing${given(reason)}`;
    case 'other-value':
      return `${reason.row.sql} is ${reason.row.value}, and ${reason.session.sql} is ${reason.session.value}`;
    case 'no-elements': {
      const fitting =
        reason.conditions.length === 0 ? 'no elements' : `no element with ${reason.conditions.join(' AND ')}`;
      return `${reason.list.sql} has ${fitting}: it is ${reason.list.value}`;
    }
    case 'not-in-list':
      return `${reason.row.sql} is ${reason.row.value}, and ${reason.list.sql} is ${reason.list.value}`;
    case 'no-lookup-row': {
      const where = reason.where === '' ? '' : ` where ${reason.where}`;
      const gives = reason.gives.length === 0 ? '' : ` with a value in ${reason.gives.join(' and ')}`;
      // a table that only filters answers without values
      const isTold = reason.answerCount > 0 && reason.answers[0] !== '[]';
      const others = isTold ? `; there ${who} has ${listed(reason.answers, reason.answerCount)}` : '';
      return `${reason.table} has no row${where}${gives}${others}`;
    }
    case 'no-combination':
      return `no row that ${who} reaches has ${reason.row.map(({ sql, value }) => `${sql} = ${value}`).join(' and ')} together`;
    case 'too-much':
      return `more than ${reason.rows} rows lead to the buckets of ${who}; they were not looked through`;
  }
}

/** `a, b, c and 4 more`. */
export function listed(names: readonly string[], count = names.length): string {
  const shown = names.slice(0, MOST_NAMED);
  return count > shown.length ? `${shown.join(', ')} and ${count - shown.length} more` : shown.join(', ');
}

function untrue(condition: Evaluated): string {
  const { sql, value } = condition;
  const [only] = condition.reads;
  // a column, or a parameter, that is itself the condition
  if (condition.reads.length === 1 && only?.name === sql) return `${sql} is not true: it is ${value}`;
  const result = value === 'NULL' ? 'NULL, so not true' : value === '0' ? 'false' : `not true: it is ${value}`;
  return `${sql} is ${result}${given(condition)}`;
}

function isNothing({ sql, value }: Evaluated): string {
  return `${sql} is ${value.startsWith("x'") ? 'a blob' : value}`;
}

/** ` (owner_id is 'bob')`; nothing when it would repeat the expression. */
function given({ sql, reads }: Evaluated): string {
  const others = reads.filter(({ name }) => name !== sql).map(({ name, value }) => `${name} is ${value}`);
  const own = reads.length === 1 && reads[0]?.name === sql;
  return own || others.length === 0 ? '' : ` (${others.join(', ')})`;
}
