import { expect, test } from 'vitest';
import { createReplicationLag } from './replication-lag.ts';

function setUp() {
  let now = 1_000_000;
  const lag = createReplicationLag(() => now);
  return { lag, pass: (ms: number) => (now += ms), at: () => now };
}

test('an idle source has no lag, until it is silent for too long', () => {
  const { lag, pass } = setUp();
  expect(lag.ms).toBe(0);
  for (let turn = 0; turn < 10; turn++) {
    pass(30_000);
    lag.heard(`k${turn}`, null);
    lag.stored(`k${turn}`, null);
    expect(lag.ms).toBe(0);
  }
  pass(70_000);
  expect(lag.ms).toBe(70_000);
});

test('what waits makes the lag grow from its commit on; what is stored lets it fall', () => {
  const { lag, pass, at } = setUp();
  lag.heard('1', at() - 500);
  pass(1000);
  expect(lag.ms).toBe(1500);
  lag.heard('2', at());
  pass(1000);
  lag.stored('1', at() - 2500);
  // the second one waits, since at most the commit of the first
  expect(lag.ms).toBe(2500);
  lag.stored('2', at() - 1000);
  expect(lag.ms).toBe(1000);
  pass(3000);
  expect(lag.ms).toBe(0);
});

test('a source whose clock is ahead makes no negative lag', () => {
  const { lag, at } = setUp();
  lag.heard('1', at() + 10_000);
  expect(lag.ms).toBe(0);
  lag.stored('1', at() + 10_000);
  expect(lag.ms).toBe(0);
});
