import { describe, expect, test } from 'vitest';
import { conformance, testEnvironment } from '../conformance.ts';
import { createCoordination } from '../create-coordination.ts';

describe('in process', () => {
  conformance(async () => {
    const both = createCoordination(null, testEnvironment());
    return { first: both, second: both, close: () => both.close() };
  });

  test('is not shared with other processes', async () => {
    const coordination = createCoordination(null, testEnvironment());
    expect(coordination.shared).toBe(false);
    await coordination.close();
  });
});
