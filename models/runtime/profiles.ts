/**
 * @file The runtime's profiles of a device's sessions: files in a temporary folder, read once and removed.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { InferenceSession } from 'onnxruntime-node';

import type { NodePlacement } from './placement.ts';
import { readPlacement } from './placement.ts';

interface Profiled {
  readonly name: string;
  readonly session: InferenceSession;
}

export class Profiles {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(): Promise<Profiles> {
    return new Profiles(await mkdtemp(join(tmpdir(), 'referee-profile-')));
  }

  /** For the options of session number `id`: the runtime appends the time and `.json`. */
  prefix(id: number): string {
    return join(this.#folder, `${id}-`);
  }

  /** Ends the profile of every session and tells what ran where until now. */
  async end(sessions: ReadonlyMap<number, Profiled>): Promise<NodePlacement[]> {
    for (const { session } of sessions.values()) session.endProfiling();
    const files = await readdir(this.#folder);
    const placements: NodePlacement[] = [];
    for (const [id, { name }] of sessions) {
      const file = files.find((each) => each.startsWith(`${id}-`));
      if (file !== undefined) placements.push(readPlacement(name, await readFile(join(this.#folder, file), 'utf8')));
    }
    await this.remove();
    return placements;
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
