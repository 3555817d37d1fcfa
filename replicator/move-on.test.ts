import { expect, test } from 'vitest';
import { createFakeClock } from '#core/platform/clock.ts';
import { createMoveOn } from './move-on.ts';

test('a source is moved twice a second, whether or not it works, and never by a second one while the first hangs', async () => {
  const clock = createFakeClock();
  const moveOn = createMoveOn(clock);
  const answers: ((failure?: Error) => void)[] = [];
  const source = {
    heartbeat: () =>
      new Promise<void>((resolve, reject) => {
        answers.push((failure) => (failure ? reject(failure) : resolve()));
      }),
  };
  const callFor = async (ms: number): Promise<number> => {
    for (let passed = 0; passed < ms; passed += 50) {
      moveOn(source);
      await clock.advance(50);
    }
    return answers.length;
  };
  expect(await callFor(60_000)).toBe(1);
  answers[0]!();
  expect(await callFor(450)).toBe(2);
  answers[1]!(new Error('away'));
  // at once when it answers, then every half second
  expect(await callFor(100)).toBe(2);
  expect(await callFor(500)).toBe(3);
});
