/**
 * @file A place of its own inside a store, where its calls can be tried out on real keys and of which nothing stays: a
 * folder, or a prefix, whose name is no run's and tells when it was made.
 */
import { randomBytes } from 'node:crypto';
import { readdir, rm, rmdir, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { isRefereeError } from '../../errors.ts';
import { FileStore } from '../../store/file-store.ts';
import type { ObjectStore } from '../../store/object-store.ts';
import { openStore } from '../../store/open-store.ts';
import type { S3Options } from '../../store/s3-calls.ts';
import { endpointText } from '../../store/s3-client.ts';
import { S3Store } from '../../store/s3-store.ts';

export interface ProbedStore {
  readonly kind: 'folder' | 'bucket';
  /** The user's store as messages name it, with the server. */
  readonly where: string;
  /** Of the probes alone. */
  readonly probes: ObjectStore;
  readonly bucket?: S3Store;
  /** Free bytes, where the store can tell. */
  free(): Promise<number | undefined>;
  /** Deletes every probe, of this process and of earlier ones that were killed. Returns what is still there. */
  clear(): Promise<readonly string[]>;
}

/** Not the patience of a run: nothing is lost when a store is found not to answer. */
const PATIENCE: S3Options = { retries: { attempts: 4 }, idleMs: 10_000 };
/** No doctor takes as long, whatever its store does not answer. */
const LEFTOVER_MS = 900_000;
const NAME = /^\.probe-([0-9a-z]{8,9})-[0-9a-f]{12}$/;

/** @throws RefereeError InvalidStore for a text that names no store */
export function probedStore(location: string, options: S3Options = {}): ProbedStore {
  const store = openStore(location);
  const name = `.probe-${Date.now().toString(36)}-${randomBytes(6).toString('hex')}`;
  return store instanceof S3Store ? inBucket(store, name, options) : inFolder(store.root, name);
}

function isLeftover(name: string): boolean {
  const made = NAME.exec(name)?.[1];
  return made !== undefined && Date.now() - Number.parseInt(made, 36) > LEFTOVER_MS;
}

function inFolder(root: string, name: string): ProbedStore {
  const folder = join(root, name);
  const missing = missingFolders(root);
  return {
    kind: 'folder',
    where: root,
    probes: new FileStore(folder),
    free: async () => {
      const { bavail, bsize } = await statfs(root);
      return bavail * bsize;
    },
    clear: async () => {
      const old = (await readdir(root).catch(() => [])).filter(isLeftover);
      for (const each of [name, ...old]) {
        await rm(join(root, each), { recursive: true, force: true }).catch(() => undefined);
      }
      const isLeft = await exists(folder);
      // A store that was not there is not there afterwards; a folder that somebody else uses by now is not empty.
      for (const each of await missing) await rmdir(each).catch(() => undefined);
      return isLeft ? [folder] : [];
    },
  };
}

/** The folder and those above it that do not exist, innermost first. */
async function missingFolders(folder: string): Promise<string[]> {
  if ((await exists(folder)) || dirname(folder) === folder) return [];
  return [folder, ...(await missingFolders(dirname(folder)))];
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function inBucket({ root }: S3Store, name: string, options: S3Options): ProbedStore {
  const settings = { ...PATIENCE, ...options };
  const bucket = new S3Store(`${root}/${name}`, settings);
  const { calls } = new S3Store(root, settings);
  const prefix = root.replace(/^s3:\/\/[^/]+\/?/, '');
  const base = prefix === '' ? '' : `${prefix}/`;
  return {
    kind: 'bucket',
    where: `${root} at ${endpointText()}`,
    probes: bucket,
    bucket,
    free: () => Promise.resolve(undefined),
    clear: async () => {
      const left: string[] = [];
      for await (const object of calls.list(`${base}.probe-`)) {
        const [owner = ''] = object.slice(base.length).split('/');
        if (owner !== name && !isLeftover(owner)) continue;
        await calls.delete(object).catch((error: unknown) => {
          if (!isRefereeError(error)) throw error;
          left.push(object);
        });
      }
      return left;
    },
  };
}
