#!/usr/bin/env node
/**
 * @file The executable.
 */
import { runProcess } from './process.ts';

await runProcess({
  startRun: async () => (await import('../activities/run.ts')).startRun,
  checkFolder: async () => (await import('../activities/models-check.ts')).checkFolder,
});
