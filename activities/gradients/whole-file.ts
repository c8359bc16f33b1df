/**
 * @file A file that is there whole or not at all: a temporary file beside it, flushed, then renamed.
 */
import { randomBytes } from 'node:crypto';
import { link, open, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { RefereeError } from '../../errors.ts';

export type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface WholeFileOptions {
  /** A file that is there is replaced; without this it is an error. */
  readonly replace: boolean;
}

/** @throws RefereeError `InvalidInput` for a file that is there or cannot be written; `StoreFull` */
export async function writeWholeFile(path: string, chunks: Chunks, { replace }: WholeFileOptions): Promise<void> {
  const temporary = join(dirname(path), `.tmp-${process.pid}-${randomBytes(8).toString('hex')}`);
  try {
    const handle = await open(temporary, 'wx');
    try {
      for await (const chunk of chunks) await handle.writeFile(chunk);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (replace) await rename(temporary, path);
    // A link is refused where a file is, by whomever it was put there meanwhile.
    else await link(temporary, path);
  } catch (error) {
    throw explained(error, path);
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
}

/** The error of a file that is in the way. */
export function alreadyThere(path: string): RefereeError {
  return new RefereeError('InvalidInput', `${path}: is there already`, { hint: 'pass --force to replace it' });
}

function explained(cause: unknown, path: string): unknown {
  switch ((cause as NodeJS.ErrnoException).code) {
    case 'EEXIST':
      return alreadyThere(path);
    case 'ENOSPC':
    case 'EDQUOT':
      return new RefereeError('StoreFull', `${path}: no space left`, { cause });
    case 'ENOENT':
    case 'ENOTDIR':
      return new RefereeError('InvalidInput', `${path}: its folder does not exist`, { cause });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'EISDIR':
      return new RefereeError('InvalidInput', `${path}: cannot be written`, { cause });
    default:
      return cause;
  }
}
