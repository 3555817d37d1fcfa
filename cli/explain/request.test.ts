import { expect, test } from 'vitest';
import { parseExplainRequest } from './request.ts';

test('what is asked stands for a session (S-524…S-537)', () => {
  expect(parseExplainRequest({ table: 'boats', id: 7, user: 'alice' })).toEqual({
    table: 'boats',
    id: '7',
    session: {
      userId: 'alice',
      claims: { sub: 'alice' },
      connectionParameters: null,
      includeDefaults: true,
      subscriptions: [],
    },
    clientId: null,
  });
  const full = {
    table: 'public.boats',
    id: 'b1',
    claims: { sub: 'alice', role: 'captain' },
    parameters: { v: 2 },
    subscriptions: [{ stream: 'harbour', parameters: { id: 'h' }, override_priority: 1 }],
    include_defaults: false,
    client_id: 'phone',
  };
  expect(parseExplainRequest(full)).toEqual({
    table: 'public.boats',
    id: 'b1',
    session: {
      userId: 'alice',
      claims: { sub: 'alice', role: 'captain' },
      connectionParameters: { v: 2 },
      includeDefaults: false,
      subscriptions: [{ stream: 'harbour', parameters: { id: 'h' }, overridePriority: 1 }],
    },
    clientId: 'phone',
  });
  // the user wins, as sub does not come from the request there
  const both = { table: 't', id: 'x', user: 'bob', claims: { sub: 'alice' } };
  expect(parseExplainRequest(both).session).toMatchObject({ userId: 'bob', claims: { sub: 'bob' } });
});

test.each([
  [null, 'send an object'],
  [[], 'send an object'],
  [{ id: 'x', user: 'u' }, 'table'],
  [{ table: 't', user: 'u' }, 'id of the row'],
  [{ table: 't', id: {}, user: 'u' }, 'id of the row'],
  [{ table: 't', id: 'x' }, 'give the user'],
  [{ table: 't', id: 'x', user: 'u', claims: [] }, 'payload of a token'],
  [{ table: 't', id: 'x', user: 'u', subscriptions: 'all' }, 'a list of at most 100'],
  [
    { table: 't', id: 'x', user: 'u', subscriptions: Array.from({ length: 101 }, () => ({ stream: 's' })) },
    'a list of at most 100',
  ],
  [{ table: 't', id: 'x\0', user: 'u' }, 'NUL'],
  [{ table: 't', id: 'x'.repeat(20_000), user: 'u' }, 'at most 10000 characters'],
  [{ table: 't', id: 'x', user: 'u', parameters: 7 }, 'Validation failed'],
  [{ table: 't', id: 'x', user: 'u', subscriptions: [{}] }, 'Validation failed'],
])('%j is refused', (body, message) => {
  expect(() => parseExplainRequest(body)).toThrow('[PSYNC_S2001]');
  expect(() => parseExplainRequest(body)).toThrow(message);
});
