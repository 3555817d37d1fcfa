import { expect, test } from 'vitest';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { sourceError } from './errors.ts';

const server = (code: string, message: string): Error =>
  Object.assign(new Error(message), {
    code,
    severity: 'ERROR',
    detail: 'Key (email)=(secret@example.com) exists',
    where: 'secret row',
  });
const network = (code: string, message = 'boom'): Error => Object.assign(new Error(message), { code });

test.each([
  ['a failing query', server('42P01', 'relation "x" does not exist'), 'PSYNC_S1120'],
  ['a wrong password', server('28P01', 'password authentication failed for user "u"'), 'PSYNC_S1171'],
  ['an unknown database', server('3D000', 'database "d" does not exist'), 'PSYNC_S1171'],
  ['pg_hba.conf', server('28000', 'no pg_hba.conf entry for replication connection'), 'PSYNC_S1171'],
  [
    'a role without replication (R-91)',
    server('42501', 'must be superuser or replication role to start walsender'),
    'PSYNC_S1172',
  ],
  ['a role without replication, newer text', server('42501', 'permission denied to start WAL sender'), 'PSYNC_S1172'],
  ['no free slot (R-84)', server('53400', 'all replication slots are in use'), 'PSYNC_S1174'],
  ['no free connection', server('53300', 'sorry, too many clients already'), 'PSYNC_S1174'],
  ['a slot in use', server('55006', 'replication slot "s" is active for PID 5'), 'PSYNC_S1177'],
  ['a restart', server('57P01', 'terminating connection due to administrator command'), 'PSYNC_S1170'],
  ['a starting server', server('57P03', 'the database system is starting up'), 'PSYNC_S1170'],
  ['nobody listens', network('ECONNREFUSED'), 'PSYNC_S1170'],
  ['an unknown name', network('ENOTFOUND'), 'PSYNC_S1170'],
  [
    'several addresses',
    new AggregateError([network('ECONNREFUSED', 'connect ECONNREFUSED ::1:5432')], ''),
    'PSYNC_S1170',
  ],
  ['a lost connection', new Error('Connection terminated unexpectedly'), 'PSYNC_S1170'],
  ['a timeout', network('ETIMEDOUT'), 'PSYNC_S1121'],
  ['a connect timeout of pg', new Error('timeout expired'), 'PSYNC_S1121'],
  ['an untrusted certificate (R-20)', network('SELF_SIGNED_CERT_IN_CHAIN'), 'PSYNC_S1163'],
])('%s', (_name, error, code) => {
  const coded = sourceError(error, 'Copying table "public"."t"');
  expect(coded.code).toBe(code);
  expect(coded.cause).toBe(error);
});

test('the message holds what failed and why, but no row data', () => {
  const { message } = sourceError(server('23505', 'duplicate key\nvalue'), 'Copying table "public"."t"');
  expect(message).toBe('[PSYNC_S1120] Copying table "public"."t" failed: duplicate key value (23505).');
});

test('all slots in use names the query that shows them', () => {
  const { message } = sourceError(server('53400', 'all replication slots are in use'), 'Creating replication slot s');
  expect(message).toContain('FROM pg_replication_slots');
  expect(message).toContain('pg_drop_replication_slot');
});

test('coded errors stay as they are', () => {
  const coded = codedError('PSYNC_S1146', 'gone');
  expect(sourceError(coded, 'x')).toBe(coded);
});
