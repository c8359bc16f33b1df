/**
 * @file A store by the text that a user gave.
 */
import { fileURLToPath } from 'node:url';

import { RefereeError, quoted } from '../errors.ts';
import { FileStore } from './file-store.ts';
import type { ObjectStore } from './object-store.ts';
import { S3Store } from './s3-store.ts';

/**
 * A folder, a `file:` URL or `s3://bucket[/prefix]`. Nothing is touched, loaded or asked before the first use.
 * @throws InvalidStore for anything else
 */
export function openStore(location: string): ObjectStore {
  if (/^s3:/i.test(location)) return new S3Store(location);
  if (/^file:/i.test(location)) return new FileStore(folderOfUrl(location));
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(location)?.[1];
  // What follows the scheme may hold a password.
  if (scheme !== undefined) throw invalid(`found a URL of the scheme ${quoted(scheme)}`);
  if (location.trim() === '' || location.includes('\0')) throw invalid(`found ${quoted(location)}`);
  return new FileStore(location);
}

function folderOfUrl(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw new RefereeError('InvalidStore', `store ${quoted(url)} is not a file: URL with an absolute path`, { cause });
  }
}

function invalid(found: string): RefereeError {
  return new RefereeError('InvalidStore', `store must be a folder, a file: URL or s3://bucket/prefix, ${found}`);
}
