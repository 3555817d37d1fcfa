import { beforeEach } from 'vitest';

/** Skips all tests of the file where one of these could not be found: then a text stands in its place, which says what is missing. */
export function needs(...found: readonly unknown[]): void {
  const missing = found.find((each) => typeof each === 'string');
  beforeEach((context) => {
    if (typeof missing === 'string') context.skip(missing);
  });
}
