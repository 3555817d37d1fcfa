import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isCodedError } from '#core/platform/errors/coded-error.ts';
import { parseSyncRequest, type SyncRequestBody } from './sync-request.ts';

/** The findings, or null when the body is accepted. Anything but PSYNC_S2001 with status 400 fails the test. */
function findingsOf(body: unknown): readonly string[] | null {
  try {
    parseSyncRequest(body);
    return null;
  } catch (error) {
    if (!isCodedError(error, 'PSYNC_S2001')) throw error;
    expect(error.status).toBe(400);
    return error.details as readonly string[];
  }
}
const subscribe = (subscription: unknown): unknown => ({ streams: { subscriptions: [subscription] } });
const nested = (depth: number): unknown => {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = { a: value };
  return value;
};

const members = ['buckets', 'client_id', 'parameters', 'streams', 'app_metadata', 'raw_data', '__proto__', 'x'];
/** Small: what decides is the shape. */
const json = fc.jsonValue({ maxDepth: 1, depthSize: 'xsmall' });
const nearlyValid = fc.dictionary(
  fc.constantFrom(...members),
  fc.oneof(
    json,
    fc.array(fc.dictionary(fc.constantFrom('name', 'after'), fc.oneof(json, fc.constantFrom('1', '-1')))),
    fc.dictionary(
      fc.constantFrom('include_defaults', 'subscriptions'),
      fc.oneof(
        json,
        fc.array(
          fc.dictionary(fc.constantFrom('stream', 'parameters', 'override_priority'), fc.oneof(json, fc.nat(4))),
        ),
      ),
    ),
  ),
);

describe('the body of a sync request', () => {
  test('whatever it holds, it is accepted or refused with findings (S-538)', () => {
    const outcomes = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(fc.oneof(json, nearlyValid, nearlyValid), (value) => {
        const body: unknown = JSON.parse(JSON.stringify(value));
        const findings = findingsOf(body);
        if (findings === null) {
          outcomes.accepted++;
          const parsed = parseSyncRequest(body);
          for (const position of parsed.positions.values()) expect(position).toBeGreaterThanOrEqual(0);
          for (const { overridePriority } of parsed.subscriptions)
            expect([null, 0, 1, 2, 3]).toContain(overridePriority);
          expect(typeof parsed.clientId).toBe('string');
        } else {
          outcomes.refused++;
          expect(findings.length).toBeGreaterThan(0);
          expect(findings.length).toBeLessThanOrEqual(10);
        }
      }),
      { numRuns: 300 },
    );
    expect(Math.min(outcomes.accepted, outcomes.refused)).toBeGreaterThan(20);
  });

  test('every member is taken over (S-524 … S-537)', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.record({ name: fc.string(), after: fc.bigInt(0n, 2n ** 53n) }), {
          selector: ({ name }) => name,
        }),
        fc.array(
          fc.record({
            stream: fc.string(),
            parameters: fc.oneof(fc.constant(null), fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }))),
            override_priority: fc.constantFrom(null, 0, 1, 2, 3, 7),
          }),
        ),
        fc.string({ maxLength: 512 }).filter((text) => !text.includes('\0')),
        fc.boolean(),
        (buckets, subscriptions, clientId, includeDefaults) => {
          const parsed = parseSyncRequest({
            buckets: buckets.map(({ name, after }) => ({ name, after: String(after), more: 1 })),
            client_id: clientId,
            parameters: { a: 1 },
            streams: { include_defaults: includeDefaults, subscriptions, more: 1 },
            app_metadata: { v: '1' },
            include_checksum: true,
            raw_data: true,
            binary_data: 5,
            only: ['x'],
          });
          expect(parsed).toEqual({
            clientId,
            positions: new Map(buckets.map(({ name, after }) => [name, Number(after)])),
            rawData: true,
            connectionParameters: { a: 1 },
            includeDefaults,
            subscriptions: subscriptions.map(({ stream, parameters, override_priority: priority }) => ({
              stream,
              parameters,
              overridePriority: priority === 7 ? 3 : priority,
            })),
            appMetadata: { v: '1' },
          } satisfies SyncRequestBody);
        },
      ),
    );
  });

  test('an empty object is what old clients may send (wire/03)', () => {
    expect(parseSyncRequest({})).toEqual({
      clientId: '',
      positions: new Map(),
      rawData: false,
      connectionParameters: null,
      includeDefaults: true,
      subscriptions: [],
      appMetadata: undefined,
    });
  });

  test.each([
    ['no object', [], 'type must be object'],
    ['null', null, 'type must be object'],
    ['buckets no array (wire/09)', { buckets: 5 }, '/buckets: type must be array'],
    ['a bucket that is no object', { buckets: ['x'] }, "/buckets/0: must have required property 'name'"],
    ['a bucket without a name', { buckets: [{ after: '1' }] }, "/buckets/0: must have required property 'name'"],
    [
      'a bucket without after (wire/09)',
      { buckets: [{ name: 'x' }] },
      "/buckets/0: must have required property 'after'",
    ],
    ...['abc', '-1', '1.5', '', ' 1', '1e3', '0x1', '9223372036854775808', '99999999999999999999', 5, null, true].map(
      (after): [string, unknown, string] => [
        `after ${JSON.stringify(after)}`,
        {
          buckets: [
            { name: 'ok', after: '1' },
            { name: 'x', after },
          ],
        },
        "/buckets/1: must have required property 'after'",
      ],
    ),
    ['client_id no string', { client_id: 5 }, '/client_id: type must be string'],
    ['client_id too long', { client_id: 'x'.repeat(513) }, '/client_id: must not be longer than 512'],
    ['client_id with NUL', { client_id: 'a\0b' }, '/client_id: must not contain'],
    ['parameters no object', { parameters: [1] }, '/parameters: type must be object or null'],
    ['parameters too deep', { parameters: nested(33) }, '/parameters: must not be nested deeper than 32'],
    [
      'parameters with more values than anybody needs',
      { parameters: { list: Array.from({ length: 100_000 }, () => [1]) } },
      '/parameters: must not have more than 100000 values',
    ],
    ['streams no object', { streams: [] }, '/streams: type must be object'],
    ['include_defaults no boolean', { streams: { include_defaults: 1 } }, '/streams/include_defaults: type must be'],
    ['subscriptions no array', { streams: { subscriptions: {} } }, '/streams/subscriptions: type must be array'],
    [
      'a subscription that is no object',
      subscribe(5),
      "/streams/subscriptions/0: must have required property 'stream'",
    ],
    ['a stream that is no string', subscribe({ stream: 5 }), '/streams/subscriptions/0: must have required property'],
    [
      'subscription parameters too deep',
      subscribe({ stream: 's', parameters: nested(33) }),
      '/streams/subscriptions/0/parameters: must not be nested deeper than 32',
    ],
    ...[-1, 1.5, '1', true, {}].map((priority): [string, unknown, string] => [
      `override_priority ${JSON.stringify(priority)}`,
      subscribe({ stream: 's', override_priority: priority }),
      '/streams/subscriptions/0/override_priority: must be null or one of 0, 1, 2, 3',
    ]),
    [
      'more subscriptions than anybody needs',
      { streams: { subscriptions: Array.from({ length: 10_001 }, () => ({ stream: 's' })) } },
      '/streams/subscriptions: must not have more than 10000 items',
    ],
  ])('%s is refused', (_name, body, finding) => {
    expect(findingsOf(body)).toEqual([expect.stringContaining(finding)]);
  });

  test('the first ten findings are told', () => {
    const buckets = Array.from({ length: 50 }, () => ({ name: 'x' }));
    expect(findingsOf({ buckets })).toHaveLength(10);
  });

  test('limits are inclusive', () => {
    const subscriptions = Array.from({ length: 10_000 }, () => ({ stream: 's' }));
    expect(findingsOf({ parameters: nested(32), client_id: 'x'.repeat(512), streams: { subscriptions } })).toBe(null);
    expect(findingsOf({ buckets: [{ name: 'x', after: '9223372036854775807' }] })).toBe(null);
    expect(findingsOf({ parameters: { list: Array.from({ length: 99_999 }, () => 1) } })).toBe(null);
  });

  test('a bucket named twice counts with its smaller position, so that nothing is left out', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 5 }), (positions) => {
        const buckets = positions.map((after) => ({ name: 'x', after: String(after) }));
        expect(parseSyncRequest({ buckets }).positions).toEqual(new Map([['x', Math.min(...positions)]]));
      }),
    );
  });

  test('parameters of a subscription may be of any type: its stream has the error (S-535)', () => {
    for (const parameters of ['text', 5, [1], true]) {
      expect(parseSyncRequest(subscribe({ stream: 's', parameters })).subscriptions).toEqual([
        { stream: 's', parameters, overridePriority: null },
      ]);
    }
  });

  test('app_metadata is cut, never a reason to refuse (S-647, S-651, O-194)', () => {
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`k${index}`, 'v'.repeat(200)]));
    const cut = parseSyncRequest({ app_metadata: { number: 5, nested: {}, ...many } }).appMetadata!;
    expect(Object.keys(cut)).toEqual(Object.keys(many).slice(0, 20));
    expect(new Set(Object.values(cut))).toEqual(new Set(['v'.repeat(100)]));
    for (const metadata of ['text', 5, [1], null, {}, { a: 1 }])
      expect(parseSyncRequest({ app_metadata: metadata }).appMetadata).toBe(undefined);
  });

  test('a member called __proto__ is data like any other', () => {
    const body = JSON.parse('{"__proto__":{"client_id":"evil"},"parameters":{"__proto__":{"x":1}}}') as unknown;
    const parsed = parseSyncRequest(body);
    expect(parsed.clientId).toBe('');
    expect(Object.keys(parsed.connectionParameters!)).toEqual(['__proto__']);
  });
});
