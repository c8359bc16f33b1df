/**
 * @file What a check of a run says: faults, one by one as they are found, and what was looked at.
 */

/** Something that is not as it must be. */
export interface Fault {
  /** Of the object in the store, with the line where it has lines: `r1/manifest.jsonl:7`. */
  readonly key: string;
  /** What was found and what was expected, one line. */
  readonly what: string;
}

/** An item whose search failed and whose record says so: no fault of the run's records. */
export interface FailedItem {
  readonly item: string;
  readonly index: number;
  readonly code: string;
}

/** What was looked at and was right. */
export interface Counts {
  /** Of the run, by its prompts. */
  items: number;
  succeeded: number;
  failed: number;
  /** Without a result, and none was there when the manifest was written. */
  unfinished: number;
  /** Lines of the manifest. */
  manifestLines: number;
  /** Files that were read, and their bytes. */
  files: number;
  bytes: number;
  /** Digests that are those of what they name. */
  specs: number;
  images: number;
  latents: number;
  checkpoints: number;
  faults: number;
}

export function noCounts(): Counts {
  const ofItems = { items: 0, succeeded: 0, failed: 0, unfinished: 0, manifestLines: 0 };
  return { ...ofItems, files: 0, bytes: 0, specs: 0, images: 0, latents: 0, checkpoints: 0, faults: 0 };
}

/** What became of searching items again. */
export interface Replayed {
  /** How many were wanted. */
  readonly asked: number | 'all';
  /** Items that were made where this machine can be compared with. */
  readonly comparable: number;
  readonly searched: number;
  /** Of the searched, those with the same bytes. */
  readonly same: number;
  /** Device of this machine as results name it; absent where nothing was asked for. */
  readonly deviceClass?: string;
  /** Why fewer were searched than were asked for. */
  readonly note?: string;
}

/** A digest as messages show it. */
export function short(digest: string): string {
  return digest.slice(0, 12);
}
