/**
 * @file What a run has left in its store, as far as it must not depend on how often the run was interrupted.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { sha256 } from '../../../store/ids.ts';
import type { Event } from './command.ts';
import { filesOf } from './whole-files.ts';

/** A result without what tells how it came about. */
type Outcome = Readonly<Record<string, unknown>>;

/**
 * Digests of files, or their content where it has facts of time; by path. Checkpoints are left out: they carry the time
 * of work too, and their names say where the last process began. So are logs, which tell just that.
 */
export function lasting(store: string): Record<string, Content> {
  const files = filesOf(store).filter((file) => !/\/(checkpoints|logs)\//.test(file));
  return Object.fromEntries(files.map((file) => [file, contentOf(file, readFileSync(join(store, file)))]));
}

type Content = string | Outcome | readonly Outcome[];

function contentOf(file: string, bytes: Buffer): Content {
  if (file.endsWith('result.json')) return timeless(bytes.toString('utf8'));
  if (file.endsWith('manifest.jsonl')) return bytes.toString('utf8').trimEnd().split('\n').map(timeless);
  return sha256(bytes);
}

function timeless(text: string): Outcome {
  const { attempts: _attempts, seconds: _seconds, ...rest } = JSON.parse(text) as Outcome;
  return rest;
}

/** Steps that every process after the first made again, by item: what it began with below what was told before it. */
export function repeatedSteps(processes: readonly (readonly Event[])[]): Record<string, number>[] {
  const reached = new Map<string, number>();
  return processes.map((events) => {
    const repeated: Record<string, number> = {};
    for (const { type, item, step } of events) {
      const [name, at] = [String(item), Number(step)];
      if (type === 'start' && reached.has(name)) repeated[name] = Math.max(0, reached.get(name)! - at);
      if (type === 'step') reached.set(name, at);
    }
    return repeated;
  });
}
