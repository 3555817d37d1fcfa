import { describe, expect, test } from 'vitest';
import { isSlotLost, type SlotRow, slotState } from './slots.ts';

const good: SlotRow = {
  database: 'app',
  active_pid: null,
  confirmed: '0/100',
  restart: '0/50',
  wal_status: 'reserved',
  invalidation: null,
  wal_end: '0/1000',
};
const state = (changes: Partial<SlotRow>, position: string | null = '00000000/00000200') =>
  slotState('s', { ...good, ...changes }, 'app', position);

describe('a slot is lost (R-72, R-103, R-108)', () => {
  test.each<[string, Partial<SlotRow>, RegExp, string?]>([
    ['log removed', { wal_status: 'lost' }, /wal_removed.*max_slot_wal_keep_size/],
    ['reason of 17', { wal_status: 'lost', invalidation: 'rows_removed' }, /rows_removed/],
    ['wal_level lowered', { invalidation: 'wal_level_insufficient' }, /wal_level_insufficient.*wal_level = logical/],
    ['idle in 18', { invalidation: 'idle_timeout' }, /idle_timeout.*idle_replication_slot_timeout/],
    ['versions 11 and 12: no restart position', { wal_status: null, restart: null }, /wal_removed/],
    ['of another database', { database: 'other' }, /another database/, 'missing'],
    ['confirmed past what is stored', { confirmed: '0/201' }, /confirmed past/, 'diverged'],
    ['log of the server ends before what was received', { wal_end: '0/1FF' }, /log ends before/, 'diverged'],
  ])('%s', (_name, changes, reason, why = 'invalidated') => {
    const lost = { kind: 'lost', code: 'PSYNC_S1146', reason: expect.stringMatching(reason), why };
    expect(state(changes)).toEqual(lost);
  });
  test('and not there', () => {
    expect(slotState('s', undefined, 'app', null)).toMatchObject({
      kind: 'lost',
      reason: expect.stringContaining('does not exist'),
      why: 'missing',
    });
  });
});

describe('a slot is usable', () => {
  test.each<[string, Partial<SlotRow>, string | null]>([
    ['ordinarily', {}, '00000000/00000200'],
    ['without a position to compare', { confirmed: '0/900' }, null],
    ['when log beyond max_slot_wal_keep_size is still there', { wal_status: 'unreserved' }, '00000000/00000200'],
    ['at its very position', { confirmed: '0/200', wal_end: '0/200' }, '00000000/00000200'],
    ['at a page header', { wal_end: '0/2018' }, '00000000/00002000'],
    ['of version 12', { wal_status: null }, '00000000/00000200'],
  ])('%s', (_name, changes, position) => {
    expect(state(changes, position)).toEqual({ kind: 'ok' });
  });
});

describe('errors of a stream that mean the slot is lost (R-110)', () => {
  const server = (code: string, message: string): Error =>
    Object.assign(new Error(message), { code, severity: 'ERROR' });
  test.each([
    [true, server('42704', 'replication slot "s" does not exist')],
    [
      true,
      server(
        '55000',
        'cannot read from logical replication slot "s": This slot has been invalidated because it exceeded the maximum reserved size.',
      ),
    ],
    [true, server('55000', 'can no longer get changes from replication slot "s"')],
    [true, server('55000', 'can no longer access replication slot "s"')],
    [true, server('58P01', 'requested WAL segment 00000001 has already been removed')],
    [false, server('55006', 'replication slot "s" is active for PID 4')],
    [false, server('42704', 'publication "powersync" does not exist')],
    [false, new Error('replication slot "s" does not exist')],
  ])('%s: %s', (expected, error) => expect(isSlotLost(error)).toBe(expected));
});
