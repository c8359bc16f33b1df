#!/usr/bin/env node
/**
 * @file The executable.
 */
import { runProcess } from './process.ts';

await runProcess({
  startRun: async () => (await import('../activities/run.ts')).startRun,
  checkModels: async () => (await import('../activities/check-models.ts')).checkModels,
});
