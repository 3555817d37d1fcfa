/**
 * The test runner behind `npm test [-- path …]`: starts the servers that the chosen tests need once for the whole run,
 * runs vitest, stops the servers, and prints `N passed, N failed` as its last line. Ends with 0 only when tests ran and
 * none failed. Paths filter test files by a part of their name; vitest's own options work too.
 */
import { parseCLI, createVitest, type Vitest } from 'vitest/node';
import { type RunningServices, startServices } from './services/start-services.ts';

type Tally = { passed: number; failed: number; skipped: number };

process.exit(await main(process.argv.slice(2)));

async function main(words: string[]): Promise<number> {
  const { filter, options } = parseCLI(['vitest', 'run', ...words]);
  const vitest = await createVitest({ ...options, run: true, watch: false, reporters: ['default'] });
  const cut = cutBySignal(vitest);
  let services: RunningServices | undefined;
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
  try {
    const specifications = await vitest.globTestSpecifications(filter);
    if (specifications.length === 0)
      throw new Error(`No test file matches ${filter.join(' ') || 'the configuration'}.`);
    const needServers = specifications.some(({ project }) => project.name !== 'unit');
    if (needServers) services = await startServices();
    await Promise.race([vitest.start(filter), cut]);
  } catch (error) {
    console.error(error instanceof Error ? (error.stack ?? error.message) : error);
    tally.failed += 1;
  }
  count(vitest, tally);
  await Promise.race([vitest.close(), cut]).catch(() => {});
  await services?.stop();
  console.log(closingLine(tally));
  return tally.failed === 0 && tally.passed > 0 ? 0 : 1;
}

/** Rejects when somebody ends the run; what ran until then still counts. */
function cutBySignal(vitest: Vitest): Promise<never> {
  const cut = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      // Vitest's own listener ends the process a millisecond later: no server would be stopped, no closing line printed.
      process.removeAllListeners(signal);
      process.on(signal, () => {
        reject(new Error(`The test run was cut short by ${signal}.`));
        void vitest.cancelCurrentRun('keyboard-input');
      });
    }
  });
  cut.catch(() => {});
  return cut;
}

/** Failures are tests, and what keeps tests from running: a file that does not load, a hook, an unhandled error. */
function count(vitest: Vitest, tally: Tally): void {
  for (const module of vitest.state.getTestModules()) {
    if (module.errors().length > 0) tally.failed += 1;
    for (const suite of module.children.allSuites()) {
      if (suite.errors().length > 0) tally.failed += 1;
    }
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state !== 'pending') tally[state] += 1;
    }
  }
  tally.failed += vitest.state.getUnhandledErrors().length;
}

function closingLine({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
