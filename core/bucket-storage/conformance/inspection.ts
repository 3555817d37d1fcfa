import { describe, expect, test } from 'vitest';
import { rowStateKey } from '../contract.ts';
import { activate, commitAt, write } from './content.ts';
import { type StorageFactory, withInstance } from './factory.ts';

/** What anybody may ask of tables and rows, without being the writer. */
export function inspection(factory: StorageFactory): void {
  describe('inspection', () => {
    test('tables under a name, newest first', () =>
      withInstance(factory, async ({ storage, open }) => {
        const { writer } = await activate(storage);
        const boats = {
          source: 's1',
          schema: 'public',
          name: 'boats',
          relation: '1',
          identity: '["default",["id",25]]',
        };
        const first = await writer.registerTable(boats);
        await writer.registerTable({ ...boats, name: 'crew' });
        await writer.registerTable({ ...boats, schema: 'other' });
        const second = await writer.registerTable({ ...boats, relation: '2' });
        const { inspection: other } = await open();
        expect(await other.tables(boats)).toEqual([
          { ...boats, relation: '2', id: second },
          { ...boats, id: first },
        ]);
        expect(await other.tables({ ...boats, source: 's2' })).toEqual([]);
      }));

    test('row states, of a copy and of later changes, while somebody else writes', () =>
      withInstance(factory, async ({ storage, open }) => {
        const { writer, stream, version } = await activate(storage);
        const key = (row: number): string => rowStateKey(version.version, 1, 0, String(row));
        const copied = Array.from({ length: 300 }, (_, row) => ({
          ...{ key: key(row), state: `["${row}"]`, previous: null, isNew: true as const },
        }));
        const { inspection: other } = await open();
        expect(await other.rowStates([key(0)])).toEqual([null]);
        await write(writer, stream.id, { rowStates: copied }, commitAt('p1'));
        const changed = { key: key(1), state: 'moved', previous: '["1"]' };
        const removed = { key: key(2), state: null, previous: '["2"]' };
        await write(writer, stream.id, { rowStates: [changed, removed] }, commitAt('p2'));
        const asked = [key(3), key(1), key(2), key(999), key(3)];
        expect(await other.rowStates(asked)).toEqual(['["3"]', 'moved', null, null, '["3"]']);
        expect(await other.rowStates([])).toEqual([]);
        // the writer was not disturbed
        expect(await writer.readRowStates([key(1)])).toEqual(['moved']);
      }));
  });
}
