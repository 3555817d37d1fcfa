import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const skip = ['**/node_modules/**', '.cache/**', 'coverage/**'];
const integration = '**/*.integration.test.ts';
const endToEnd = '**/*.e2e.test.ts';

/**
 * Which kind a test is of stands in its suffix:
 * `x.test.ts` needs nothing outside the process, `x.integration.test.ts` needs servers (see test/services), and
 * `x.e2e.test.ts` in test/{e2e,faults,browser,oracle} runs the whole service with real clients, in test/cluster on a real Kubernetes.
 * Installing a server the first time happens inside a hook, hence the long hook timeouts.
 */
export default defineConfig({
  test: {
    watch: false,
    pool: 'forks',
    maxWorkers: Math.max(1, Math.min(4, availableParallelism())),
    passWithNoTests: false,
    restoreMocks: true,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: [...skip, integration, endToEnd],
          testTimeout: 20_000,
          hookTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: [integration],
          exclude: skip,
          testTimeout: 60_000,
          hookTimeout: 300_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/{e2e,faults,browser,oracle}/**/*.e2e.test.ts'],
          exclude: skip,
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'cluster',
          include: ['test/cluster/**/*.e2e.test.ts'],
          exclude: skip,
          // After all others: a cluster beside them would leave both without a processor.
          sequence: { groupOrder: 1 },
          // There is one cluster on a machine.
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
