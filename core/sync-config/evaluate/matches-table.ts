import type { MatchesTable } from '../contract.ts';

/** Does the pattern (S-254) mean this table? */
export const matchesTable: MatchesTable = (pattern, table) =>
  pattern.source === table.source &&
  pattern.schema === table.schema &&
  (pattern.wildcard ? table.name.startsWith(pattern.name) : table.name === pattern.name);
