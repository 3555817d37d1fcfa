/** How an RSocket connection begins (S-594, S-596, S-600, S-602, wire/11). The library of the clients makes and reads the frames. */
import { Flags, FrameTypes } from 'rsocket-core';
import { describe, expect, test } from 'vitest';
import { codedError } from '#core/platform/errors/coded-error.ts';
import {
  cancel,
  error,
  frameOfType,
  json,
  keepalive,
  payload,
  requestN,
  requestStream,
  setup,
} from '../testing/rsocket-peer.ts';
import {
  CONNECTION_ERROR,
  expectClosed,
  expectDead,
  INVALID_SETUP,
  ready,
  REJECTED_SETUP,
  startConnection,
  UNSUPPORTED_SETUP,
} from './connection.fixture.ts';

const BSON = 'application/bson';

describe('the first frame', () => {
  test('SETUP has the token checked', async () => {
    const peer = startConnection();
    peer.send(setup({ token: 'abc' }));
    expect(peer.tokens).toEqual(['Token abc']);
    await peer.verify();
    expect([peer.news(), peer.closes]).toEqual([[], []]);
  });

  test.each([
    ['REQUEST_STREAM', requestStream()],
    ['REQUEST_N', requestN(1)],
    ['CANCEL', cancel()],
    ['PAYLOAD', payload(json({}))],
    ['KEEPALIVE', keepalive()],
    ['ERROR', error(0)],
    ['RESUME', frameOfType(FrameTypes.RESUME, 0)],
    ['METADATA_PUSH', frameOfType(FrameTypes.METADATA_PUSH, 0)],
    ['one that may be ignored', frameOfType(FrameTypes.EXT, 0, Flags.IGNORE)],
  ])('is not %s', (_name, frame) => {
    const peer = startConnection();
    peer.send(frame);
    expectClosed(
      peer,
      CONNECTION_ERROR,
      '[PSYNC_S2001] The RSocket protocol was violated: the first frame must be SETUP',
    );
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['half a header', Buffer.alloc(5)],
    ['half a SETUP', setup().subarray(0, 20)],
    ['a SETUP on a stream', Buffer.concat([Buffer.of(0, 0, 0, 1), setup().subarray(4)])],
  ])('is not %s', (_name, frame) => {
    const peer = startConnection();
    peer.send(frame);
    expectClosed(peer, CONNECTION_ERROR, 'PSYNC_S2001');
  });
});

describe('SETUP', () => {
  test('comes once', async () => {
    const early = startConnection();
    early.send(setup(), setup());
    expectClosed(early, INVALID_SETUP, '[PSYNC_S2001] SETUP was sent twice');
    await early.verify();
    expectDead(early);

    const late = await ready();
    late.send(requestStream());
    late.send(setup());
    expectClosed(late, INVALID_SETUP, '[PSYNC_S2001] SETUP was sent twice');
    expect(late.sessions[0]!.told).toBe(1);
  });

  test.each([
    ['version 0', setup({ majorVersion: 0 }), UNSUPPORTED_SETUP, 'Only RSocket 1'],
    ['version 2', setup({ majorVersion: 2 }), UNSUPPORTED_SETUP, 'Only RSocket 1'],
    [
      'resuming',
      setup({ flags: Flags.RESUME_ENABLE, resumeToken: Buffer.from('t') }),
      UNSUPPORTED_SETUP,
      'Resuming and leases',
    ],
    ['leases', setup({ flags: Flags.LEASE }), UNSUPPORTED_SETUP, 'Resuming and leases'],
    ['text as metadata', setup({ metadataMime: 'text/plain' }), UNSUPPORTED_SETUP, 'application/json'],
    ['text as data', setup({ dataMime: 'text/plain' }), UNSUPPORTED_SETUP, 'application/json'],
    ['no type at all', setup({ dataMime: '' }), UNSUPPORTED_SETUP, 'application/json'],
    ['broken JSON', setup({ metadata: Buffer.from('{"token":') }), INVALID_SETUP, 'no valid JSON'],
    ['JSON that is no object', setup({ metadata: Buffer.from('[1]') }), INVALID_SETUP, 'no valid JSON'],
    ['broken BSON', setup({ metadataMime: BSON, metadata: Buffer.from('not bson') }), INVALID_SETUP, 'no valid BSON'],
    ['40 KB of metadata', setup({ metadata: json({ token: 'x'.repeat(40_000) }) }), INVALID_SETUP, 'too large'],
  ])('with %s is refused', (_name, frame, code, text) => {
    const peer = startConnection();
    peer.send(frame);
    expect(peer.tokens).toEqual([]);
    expectClosed(peer, code, text);
    expect((peer.refused[0] as Error).message).toMatch(/^\[PSYNC_S2001\]/);
  });

  test.each([
    ['no metadata', null, undefined],
    ['metadata without a token', json({ user_agent: 'x' }), undefined],
    ['a token that is no text', json({ token: 5 }), undefined],
    ['a token of 17 KB', json({ token: 'x'.repeat(17_000) }), undefined],
    ['Bearer', json({ token: 'Bearer abc' }), 'Bearer abc'],
  ])('%s: the verifier says what that means (wire/11)', async (_name, metadata, token) => {
    const peer = startConnection();
    peer.send(setup({ metadata }));
    expect(peer.tokens).toEqual([token]);
    await peer.refuse(codedError('PSYNC_S2106', 'Authentication required'));
    expectClosed(peer, REJECTED_SETUP, '[PSYNC_S2106] Authentication required');
  });

  test.each([
    [100, 5000],
    [6000, 6000],
    [90_000, 90_000],
    [0x7fff_ffff, 300_000],
  ])('a lifetime of %d ms counts as %d', (lifetimeMs, expected) => {
    const peer = startConnection();
    peer.send(setup({ lifetimeMs }));
    expect(peer.connection.lifetimeMs()).toBe(expected);
  });
});

describe('a token that is refused (S-600, S-602)', () => {
  test('rejects the SETUP, and the request that came with it', async () => {
    const peer = startConnection();
    peer.send(setup(), requestStream());
    expect(peer.news()).toEqual([]);
    await peer.refuse();
    expect(peer.sessions).toEqual([]);
    expectClosed(peer, REJECTED_SETUP, '[PSYNC_S2101] The token is not valid');
  });

  test.each([
    [codedError('PSYNC_S2304', 'Maximum active concurrent connections limit has been reached (1)'), 'PSYNC_S2304'],
    [codedError('PSYNC_S2003', 'The service is restarting: connect again'), 'PSYNC_S2003'],
    // not for clients
    [new Error('connect ECONNREFUSED 10.0.0.1:5432'), '[PSYNC_S2001]'],
  ])('so does any other reason: %s', async (reason, text) => {
    const peer = startConnection();
    peer.send(setup());
    await peer.refuse(reason);
    expect(JSON.stringify(peer.writer.frames)).not.toContain('10.0.0.1');
    expect(peer.refused).toEqual([reason]);
    expectClosed(peer, REJECTED_SETUP, text);
  });

  test('after the client has gone, nothing happens', async () => {
    for (const how of ['verify', 'refuse'] as const) {
      const peer = startConnection();
      peer.send(setup(), requestStream());
      peer.connection.closed();
      await peer[how]();
      expect([peer.news(), peer.closes, peer.refused, peer.sessions]).toEqual([[], [], [], []]);
    }
  });
});
