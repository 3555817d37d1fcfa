/** Bounds how many reads of bucket data run at once in this worker (O-58); the others wait in order of arrival. */

export interface FetchLimit {
  /** Runs `read` as soon as there is room. */
  run<T>(read: () => Promise<T>): Promise<T>;
  readonly running: number;
  readonly waiting: number;
}

export function createFetchLimit(concurrency: number): FetchLimit {
  const waiting: (() => void)[] = [];
  let running = 0;

  return {
    async run(read) {
      // A finished read hands its place over, so `running` does not change in that case.
      if (running >= concurrency) await new Promise<void>((resolve) => waiting.push(resolve));
      else running++;
      try {
        return await read();
      } finally {
        const next = waiting.shift();
        if (next) next();
        else running--;
      }
    },
    get running() {
      return running;
    },
    get waiting() {
      return waiting.length;
    },
  };
}
