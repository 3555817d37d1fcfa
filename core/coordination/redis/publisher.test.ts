import { describe, expect, test } from 'vitest';
import type { Connection } from './connection.ts';
import { bodyOf, createPublisher, isOwn, MAX_UNANSWERED_BYTES } from './publisher.ts';

const sender = '0123456789abcdef';

/** A connection whose answers the test gives. */
function fakeConnection() {
  const sent: string[] = [];
  const answers: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const listeners = new Set<() => void>();
  const state = { ready: true };
  const client = {
    publish: (_channel: string, message: string) => {
      sent.push(message);
      return new Promise<void>((resolve, reject) => answers.push({ resolve, reject }));
    },
  };
  const connection = {
    client,
    isReady: () => state.ready,
    onReady: (listener: () => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  } as unknown as Connection;
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return {
    connection,
    sent,
    listeners,
    answer: () => (answers.shift()!.resolve(), settle()),
    refuse: () => (answers.shift()!.reject(new Error('refused')), settle()),
    disconnect: () => void (state.ready = false),
    reconnect: () => {
      state.ready = true;
      for (const listener of listeners) listener();
    },
  };
}

describe('publisher', () => {
  test('messages go at once and in order, and carry their sender', () => {
    const redis = fakeConnection();
    const publisher = createPublisher(redis.connection, 'channel', sender);
    publisher.send('one');
    publisher.send('zwei ä');
    expect(redis.sent.map((message) => bodyOf(Buffer.from(message)))).toEqual(['one', 'zwei ä']);
    expect(redis.sent.every((message) => isOwn(Buffer.from(message), sender))).toBe(true);
    expect(isOwn(Buffer.from(redis.sent[0]!), 'fedcba9876543210')).toBe(false);
    expect(isOwn(Buffer.from(''), sender)).toBe(false);
  });

  test('without a connection nothing is kept; listeners are told once when it is back', () => {
    const redis = fakeConnection();
    const publisher = createPublisher(redis.connection, 'channel', sender);
    redis.disconnect();
    for (let index = 0; index < 1000; index++) publisher.send('lost');
    expect(redis.sent).toEqual([]);
    redis.reconnect();
    expect(redis.sent).toEqual([sender]);
    redis.reconnect();
    publisher.send('next');
    expect(redis.sent).toEqual([sender, `${sender}next`]);
  });

  test('nothing was lost: nobody is told', () => {
    const redis = fakeConnection();
    createPublisher(redis.connection, 'channel', sender);
    redis.disconnect();
    redis.reconnect();
    expect(redis.sent).toEqual([]);
  });

  test('a message whose sending failed is told before the next one', async () => {
    const redis = fakeConnection();
    const publisher = createPublisher(redis.connection, 'channel', sender);
    publisher.send('one');
    await redis.refuse();
    publisher.send('two');
    expect(redis.sent).toEqual([`${sender}one`, sender, `${sender}two`]);
  });

  test('full: more is dropped, and told when all before it was answered', async () => {
    const redis = fakeConnection();
    const publisher = createPublisher(redis.connection, 'channel', sender);
    const body = 'x'.repeat(MAX_UNANSWERED_BYTES / 2 - 100);
    publisher.send(body);
    publisher.send(body);
    publisher.send(body);
    publisher.send(body);
    expect(redis.sent).toHaveLength(2);
    await redis.answer();
    expect(redis.sent).toHaveLength(2);
    await redis.answer();
    expect(redis.sent.slice(2)).toEqual([sender]);
    await redis.answer();
    publisher.send('next');
    expect(redis.sent.slice(3)).toEqual([`${sender}next`]);
  });

  test('closed: silent, and no longer attached', () => {
    const redis = fakeConnection();
    const publisher = createPublisher(redis.connection, 'channel', sender);
    publisher.close();
    publisher.send('late');
    expect([redis.sent.length, redis.listeners.size]).toEqual([0, 0]);
  });
});
