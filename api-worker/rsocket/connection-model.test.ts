/**
 * Any client against an RSocket connection: frames in any order, broken ones too, while the token is checked and a session sends what it likes.
 * Nothing throws, no payload is sent beyond the credit (S-598), no session starts before the token is verified (S-602), there is never more
 * than one, and at the end nothing is left (S-615).
 */
import fc from 'fast-check';
import { Flags } from 'rsocket-core';
import { describe, expect, test } from 'vitest';
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
import { startConnection, type TestConnection, type TestSession } from './connection.fixture.ts';
import { decodeFrame, MAX_REQUEST_N, type ClientFrame } from './frames.ts';

type Step =
  | { readonly do: 'frame'; readonly frame: Buffer }
  /** As a good client does it: a new stream id, more of the stream that was opened last. */
  | { readonly do: 'open' | 'ask'; readonly n: number }
  | { readonly do: 'cancel' }
  | { readonly do: 'text' | 'verify' | 'refuse' | 'progress' | 'closed' }
  | { readonly do: 'session sends'; readonly lines: number }
  | { readonly do: 'session ends'; readonly how: 'end' | 'fail' | 'abort' }
  | { readonly do: 'time passes'; readonly ms: number };

const stream = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(1, 3) }, { weight: 1, arbitrary: fc.nat(8) });
const some = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 1, max: 6 }) },
  { weight: 1, arbitrary: fc.constant(MAX_REQUEST_N) },
);
const body = fc.constantFrom(json({}), json({ client_id: 'c' }), json({ buckets: 5 }), Buffer.alloc(0));
const mostly = fc.integer({ min: 0, max: 9 }).map((dice) => dice === 0);
const requests = fc.record({ stream, n: some, follows: mostly, data: body }).map(requestStream);
const frames = fc.oneof(
  { weight: 8, arbitrary: requests },
  { weight: 8, arbitrary: fc.tuple(some, stream).map(([n, id]) => requestN(n, id)) },
  {
    weight: 3,
    arbitrary: fc.record({ stream, follows: mostly }).chain((rest) => body.map((data) => payload(data, rest))),
  },
  { weight: 2, arbitrary: stream.map((id) => cancel(id)) },
  { weight: 2, arbitrary: fc.boolean().map((respond) => keepalive(respond, Buffer.from('data'))) },
  { weight: 1, arbitrary: stream.map((id) => error(id)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.nat(0x3f), stream, fc.constantFrom(0, Flags.IGNORE))
      .map(([type, id, set]) => frameOfType(type, id, set)),
  },
  { weight: 1, arbitrary: fc.constantFrom(setup(), setup({ metadata: null }), setup({ flags: Flags.LEASE })) },
  { weight: 1, arbitrary: stream.map((id) => requestStream({ stream: id, metadata: json({ path: '/nothing' }) })) },
);
const broken = fc.tuple(frames, fc.nat(), fc.nat(255)).map(([good, at, value]) => {
  const bytes = Buffer.from(good);
  bytes[at % bytes.length] = value;
  return bytes;
});
const anyBytes = fc.oneof(
  { weight: 30, arbitrary: frames },
  { weight: 1, arbitrary: broken },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: anyBytes.map((frame): Step => ({ do: 'frame', frame })) },
  { weight: 8, arbitrary: some.map((n): Step => ({ do: 'open', n })) },
  { weight: 8, arbitrary: some.map((n): Step => ({ do: 'ask', n })) },
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'cancel' }) },
  { weight: 12, arbitrary: fc.integer({ min: 1, max: 8 }).map((lines): Step => ({ do: 'session sends', lines })) },
  {
    weight: 2,
    arbitrary: fc.constantFrom('end', 'end', 'fail', 'abort').map((how): Step => ({ do: 'session ends', how })),
  },
  { weight: 4, arbitrary: fc.constant<Step>({ do: 'verify' }) },
  { weight: 4, arbitrary: fc.constantFrom<Step>({ do: 'progress' }, { do: 'time passes', ms: 1000 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Step>(
      { do: 'refuse' },
      { do: 'text' },
      { do: 'closed' },
      { do: 'time passes', ms: 31_000 },
    ),
  },
);

const isLive = ({ told, hasEnded }: TestSession): boolean => told === 0 && !hasEnded;

/** The frame that the client sends, if any. `opened`: streams that it has opened so far. */
function frameOf(action: Step, opened: number): Buffer | null {
  // above those of the other frames, most of which end the connection
  const newest = 11 + 2 * opened;
  switch (action.do) {
    case 'frame':
      return action.frame;
    case 'open':
      return requestStream({ stream: newest + 2, n: action.n });
    case 'ask':
      return requestN(action.n, newest);
    case 'cancel':
      return cancel(newest);
    default:
      return null;
  }
}

function perform(peer: TestConnection, action: Step): unknown {
  const session = peer.sessions.findLast(isLive);
  switch (action.do) {
    case 'frame':
    case 'open':
    case 'ask':
    case 'cancel':
      return undefined;
    case 'text':
      return peer.connection.receive(Buffer.from('{}'), false);
    case 'progress':
    case 'closed':
      return peer.connection[action.do]();
    case 'verify':
    case 'refuse':
      return peer[action.do]();
    case 'session sends':
      return session?.send(action.lines);
    case 'session ends':
      return session?.end(action.how);
    case 'time passes':
      return peer.clock.advance(action.ms);
  }
}

/** What the client has asked for, in the order of its frames. */
interface Asked {
  readonly begins: boolean;
  readonly stream: number;
  readonly n: number;
}
function askedBy(bytes: Buffer): Asked[] {
  let frame: ClientFrame;
  try {
    frame = decodeFrame(bytes);
  } catch {
    return [];
  }
  if (frame.type === 'request n') return [{ begins: false, stream: frame.stream, n: frame.n }];
  return frame.type === 'request stream' ? [{ begins: true, stream: frame.stream, n: frame.initialN }] : [];
}

/** Payloads of each session are never more than what was asked for on its stream since the request that it answers. */
function checkCredit(peer: TestConnection, asked: readonly Asked[], startedAt: readonly number[]): void {
  for (const [index, at] of startedAt.entries()) {
    const own = peer.writer.frames.filter(
      (frame) => frame.kind === 'line' && frame.data.toString().startsWith(`${index}:`),
    );
    const [first] = own;
    if (first?.kind !== 'line') continue;
    expect(own.map((frame) => frame.kind === 'line' && `${frame.stream} ${frame.data.toString()}`)).toEqual(
      own.map((_, number) => `${first.stream} ${index}:${number}`),
    );
    const begin = asked.slice(0, at).findLastIndex((item) => item.begins && item.stream === first.stream);
    const credit = asked.slice(begin).reduce((sum, item) => sum + (item.stream === first.stream ? item.n : 0), 0);
    expect(own.length, 'payloads beyond the credit').toBeLessThanOrEqual(credit);
  }
}

function checkEnd({ sessions, clock, connection }: TestConnection): void {
  expect(sessions.filter(isLive), 'sessions that were not told').toEqual([]);
  for (const { sink } of sessions) expect([sink.writable(), sink.stalledSince()]).toEqual([false, null]);
  expect(clock.waiting, 'timers').toBe(0);
  expect(connection.isIdle()).toBe(true);
}

async function run(steps: readonly Step[], startsFail: readonly boolean[]): Promise<TestConnection> {
  let starts = 0;
  const peer = startConnection({
    maxRequestBytes: 2000,
    refuseStart: () => (startsFail[starts++ % startsFail.length] === true ? new Error('no room') : null),
  });
  const asked: Asked[] = [];
  /** For each session, how much the client had sent when it started. */
  const startedAt: number[] = [];
  let opened = 0;
  let isVerified = false;
  let framesAtEnd: number | null = null;
  for (const action of [...steps, { do: 'closed' } satisfies Step]) {
    const frame = frameOf(action, opened);
    if (frame === null) await perform(peer, action);
    else {
      if (action.do === 'open') opened++;
      asked.push(...askedBy(frame));
      peer.send(frame);
    }
    if (action.do === 'verify' && peer.tokens.length > 0) isVerified = true;
    while (startedAt.length < peer.sessions.length) startedAt.push(asked.length);

    if (!isVerified) expect(peer.sessions, 'sessions before the token is verified').toEqual([]);
    expect(peer.sessions.filter(isLive).length, 'sessions at once').toBeLessThanOrEqual(1);
    for (const { told, hasEnded } of peer.sessions) expect(told).toBeLessThanOrEqual(hasEnded ? 0 : 1);
    checkCredit(peer, asked, startedAt);
    if (action.do === 'closed' || peer.closes.length > 0) framesAtEnd ??= peer.writer.frames.length;
    if (framesAtEnd === null) continue;
    expect(peer.writer.frames.length, 'frames after the end').toBe(framesAtEnd);
    checkEnd(peer);
  }
  for (const frame of peer.writer.frames)
    if (frame.kind === 'error') expect(frame.message).toMatch(/^\[PSYNC_[A-Z]\d{4}\] ./);
  return peer;
}

describe('any sequence of frames', () => {
  const steps = fc.array(step, { minLength: 1, maxLength: 50, size: 'max' });
  const startsFail = fc.array(fc.constantFrom(false, false, false, true), { minLength: 1, maxLength: 4 });

  test('from the first one', async () => {
    await fc.assert(
      fc.asyncProperty(steps, startsFail, async (all, failing) => void (await run(all, failing))),
      { numRuns: 300 },
    );
  });

  test('after a good SETUP', { timeout: 60_000 }, async () => {
    const seen = { sessions: 0, lines: 0, held: 0, complete: 0 };
    const begin: Step[] = [{ do: 'frame', frame: setup() }];
    await fc.assert(
      fc.asyncProperty(steps, startsFail, async (rest, failing) => {
        const peer = await run([...begin, ...rest], failing);
        seen.sessions += peer.sessions.length;
        seen.complete += peer.writer.frames.filter(({ kind }) => kind === 'complete').length;
        const lines = peer.writer.frames.filter(({ kind }) => kind === 'line').length;
        seen.lines += lines;
        if (peer.sessions.some(({ sent }) => sent > lines)) seen.held++;
      }),
      { numRuns: Number(process.env['RUNS'] ?? 600) },
    );
    // else this would say little
    expect(seen.sessions).toBeGreaterThan(200);
    expect(seen.lines).toBeGreaterThan(400);
    expect(seen.held).toBeGreaterThan(50);
    expect(seen.complete).toBeGreaterThan(10);
  });
});
