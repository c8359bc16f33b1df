/**
 * @file `s3://bucket[/prefix]` to its parts. Only characters that need no escaping in any S3 server are let through, so a
 * prefix is the same text in URLs, listings, policies and on servers that keep objects as files.
 */
import { RefereeError, quoted } from '../errors.ts';

export interface S3Location {
  readonly bucket: string;
  /** Empty, or ending in `/`: what every key of the store begins with. */
  readonly prefix: string;
}

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const SEGMENT = /^[A-Za-z0-9!_.*'()=@:+,-]{1,255}$/;
/** S3 keys have at most 1024 bytes; the longest key of a run has about 180. */
const PREFIX_MAX = 800;

/** @throws InvalidStore for anything that is no bucket with a plain prefix; what may hold a password is not quoted */
export function parseS3Location(url: string): S3Location {
  const match = /^s3:\/\/([^/]*)(?:\/(.*))?$/is.exec(url);
  const [bucket, rest] = [match?.[1] ?? '', match?.[2] ?? ''];
  if (bucket.includes('@')) {
    throw new RefereeError('InvalidStore', 'store: expected s3://bucket/prefix, found a user name before the bucket', {
      hint: 'credentials come from the usual AWS variables, profiles or roles',
    });
  }
  if (!BUCKET.test(bucket)) {
    throw invalid(url, `the name of a bucket, 3 to 63 of a-z, 0-9, "." and "-", found ${quoted(bucket)}`);
  }
  const segments = rest.replace(/\/$/, '') === '' ? [] : rest.replace(/\/$/, '').split('/');
  for (const segment of segments) {
    if (!SEGMENT.test(segment) || segment === '.' || segment === '..') {
      throw invalid(url, `a prefix of letters, digits and !_.*'()=@:+,- between "/", found ${quoted(segment)}`);
    }
  }
  const prefix = segments.map((segment) => `${segment}/`).join('');
  if (prefix.length > PREFIX_MAX) throw invalid(url, `a prefix of at most ${PREFIX_MAX} characters`);
  return { bucket, prefix };
}

function invalid(url: string, expected: string): RefereeError {
  return new RefereeError('InvalidStore', `store ${quoted(url)}: expected ${expected}`);
}
