/**
 * @file A setup whose workers only answer and end when asked: what is tested is who starts, restarts and ends them.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { readPlaces } from '../../../cli/config.ts';
import { LOOPBACK, freePorts } from '../../../cli/dev/ports.ts';
import type { SetupOptions } from '../../../cli/dev/setup.ts';

const IDLE = fileURLToPath(new URL('children/idle-worker.mjs', import.meta.url));

export function idleSetup(folder: string): Omit<SetupOptions, 'onProcess' | 'say'> {
  return {
    folder,
    workers: 1,
    places: readPlaces(),
    workerFor: async (number, env, logs) => {
      const [port] = await freePorts(1);
      return {
        role: 'worker',
        name: `worker ${number}`,
        command: process.execPath,
        argv: [IDLE, String(port)],
        env,
        log: join(logs, `worker-${number}.log`),
        isReady: async () => (await fetch(`http://${LOOPBACK}:${port!}/ready`)).ok,
      };
    },
  };
}

export function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Waits for something that must come; the time limit of the test is the deadline. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(50);
}
