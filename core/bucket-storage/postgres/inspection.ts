import { MOST_REGISTERED_TABLES, type RegisteredTable, type StorageInspection } from '../inspection.ts';
import { textArray } from './binary-arrays.ts';
import type { Database, Statement } from './database.ts';
import { indexKey } from './key-text.ts';
import { bounded } from './writer-reads.ts';

export function createInspection(database: Database): StorageInspection {
  return {
    tables: ({ source, schema, name }) => database.read<RegisteredTable>(TABLES, [source, schema, name]),
    async rowStates(keys) {
      bounded(keys.length);
      const rows = await database.read<{ state: string | null }>(STATES, [textArray(keys, indexKey)]);
      return rows.map(({ state }) => state);
    },
  };
}

const TABLES: Statement = {
  text: `SELECT id, source, schema_name AS schema, name, relation, identity FROM powersync.tables
    WHERE source = $1 AND schema_name = $2 AND name = $3 ORDER BY id DESC LIMIT ${MOST_REGISTERED_TABLES}`,
};
const STATES: Statement = {
  text: 'SELECT (SELECT s.state FROM powersync.row_states s WHERE s.key = k.key) AS state FROM unnest($1::text[]) AS k(key)',
};
