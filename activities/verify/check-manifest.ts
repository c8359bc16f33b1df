/**
 * @file The manifest, read piece by piece: every result once, in the order of the input, as `result.json` has it.
 */
import { isRefereeError, quoted } from '../../errors.ts';
import { itemFolder, itemKey, manifestKey } from '../../store/layout.ts';
import { parseResult, writeResult } from '../../store/result.ts';
import type { Result } from '../../store/result.ts';
import type { VerifyPlace } from './place.ts';
import type { RunItems } from './run-items.ts';
import { textOf } from './formats.ts';

/** A manifest of 100 000 items has some hundred megabytes. */
const PIECE_BYTES = 4 << 20;

/** Counts items without a result, and tells which of them had one when the manifest was written. */
export async function checkManifest(place: VerifyPlace, items: RunItems): Promise<void> {
  const { run, counts } = place;
  const key = manifestKey(run);
  const listed = new Uint8Array(items.size);
  const last = { index: -1 };
  const isThere = await eachLine(place, (line, number) => {
    const fault = lineFault(items, listed, last, line);
    if (fault === undefined) counts.manifestLines += 1;
    else place.fault(`${key}:${number}`, fault);
  });
  const missing: number[] = [];
  for (let index = 0; index < items.size; index++) {
    if (items.state(index) !== 'open') {
      if (listed[index] === 0) missing.push(index);
    } else if (listed[index] === 0) counts.unfinished += 1;
    else {
      const item = items.ids[index]!;
      const gone = items.isSeen(index) ? itemKey(run, item, 'result.json') : itemFolder(run, item);
      place.fault(gone, 'is missing; manifest.jsonl has its result');
    }
  }
  // While items are still to come the manifest is that of an earlier moment.
  if (counts.unfinished > 0) return;
  if (!isThere) place.fault(key, 'is missing: the run was not brought to its end, or the file was deleted');
  else for (const index of missing) place.fault(key, `has no line of item ${items.ids[index]!}`);
}

/** Also marks the item as listed. */
function lineFault(items: RunItems, listed: Uint8Array, last: Place, line: string): string | undefined {
  let result: Result;
  try {
    result = parseResult(line, 'a result');
  } catch (error) {
    if (isRefereeError(error)) return error.message;
    throw error;
  }
  const index = items.indexOf(result.item);
  if (index === undefined) return `item ${quoted(result.item)} is not of the run`;
  if (listed[index] === 1) return `item ${result.item} is there twice`;
  listed[index] = 1;
  const isLate = index < last.index;
  last.index = index;
  if (isLate) return `item ${result.item} is not in the order of the prompts`;
  const state = items.state(index);
  if (state === 'open' || state === 'unreadable' || items.hasResult(index, writeResult(result))) return undefined;
  return `is not the same as result.json of item ${result.item}`;
}

interface Place {
  index: number;
}

/** Calls `take` for each line with its number, from 1. False where there is no manifest. */
async function eachLine(place: VerifyPlace, take: (line: string, number: number) => void): Promise<boolean> {
  const { store, run, counts } = place;
  const key = manifestKey(run);
  const size = (await store.head(key))?.bytes;
  if (size === undefined) return false;
  counts.files += 1;
  counts.bytes += size;
  let number = 0;
  let rest: Uint8Array = new Uint8Array();
  for (let start = 0; start < size; start += PIECE_BYTES) {
    place.throwIfInterrupted();
    const piece = await store.get(key, { range: { start, end: Math.min(size, start + PIECE_BYTES) } });
    const bytes = Buffer.concat([rest, piece ?? new Uint8Array()]);
    const end = bytes.lastIndexOf(0x0a) + 1;
    rest = bytes.subarray(end);
    const text = textOf(bytes.subarray(0, end));
    if (text === undefined) {
      place.fault(key, `not UTF-8 text, between its bytes ${start} and ${start + PIECE_BYTES}`);
      continue;
    }
    for (const line of text.split('\n').slice(0, -1)) take(line, ++number);
  }
  if (rest.length > 0) place.fault(`${key}:${number + 1}`, 'is cut off: the last line has no end');
  return true;
}
