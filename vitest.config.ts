import { defineConfig } from 'vitest/config';

/** Whole batches on Temporal's server with real workers. */
const TEMPORAL = ['test/integration/temporal/**/*.test.ts', 'test/integration/batches/**/*.test.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/integration/**'],
          pool: 'forks',
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          exclude: TEMPORAL,
          globalSetup: ['test/support/servers/programs.ts'],
          pool: 'forks',
          testTimeout: 240_000,
          hookTimeout: 240_000,
        },
      },
      {
        test: {
          name: 'temporal',
          include: TEMPORAL,
          globalSetup: ['test/support/servers/programs.ts'],
          pool: 'forks',
          testTimeout: 600_000,
          hookTimeout: 300_000,
        },
      },
    ],
    maxWorkers: 2,
  },
});
