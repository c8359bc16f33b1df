/**
 * @file Pictures of a batch on one sheet for the documentation.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { decode } from 'fast-png';

import { encodeContactSheet } from '../store/contact-sheet.ts';

/** Of the first items; more do not fit into a page. */
const CELLS = 24;
const COLUMNS = 8;

/** `folder`: of the run. A PNG. */
export async function batchSheet(folder: string, items: readonly string[]): Promise<Uint8Array> {
  const cells = items.slice(0, CELLS).map((item) => {
    const of = join(folder, 'items', item);
    const { width, height, data } = decode(readFileSync(join(of, 'image.png')));
    const { prompt, scores } = JSON.parse(readFileSync(join(of, 'result.json'), 'utf8')) as {
      prompt: string;
      scores: Record<string, number>;
    };
    const note = `match ${scores['match']?.toFixed(2) ?? '-'}, judge ${scores['judge']?.toFixed(0) ?? '-'}`;
    return { image: { width, height, data: Uint8Array.from(data) }, label: prompt, note };
  });
  return encodeContactSheet(cells, {}, COLUMNS);
}
