/**
 * @file The contact sheet of a run: every picture small, with prompt, seed and scores, in the order of the input.
 */
import { contactSheetKey, itemKey } from '../store/layout.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { decodePng } from '../store/png.ts';
import { readResult } from '../store/run.ts';
import type { RunSpec } from './specs.ts';

/** Writes it; false when the run has more pictures than anybody looks at on a sheet. */
export async function writeContactSheet(store: ObjectStore, { run, items }: RunSpec): Promise<boolean> {
  const { encodeContactSheet, SHEET_CELLS_MAX } = await import('../store/contact-sheet.ts');
  if (items.length > SHEET_CELLS_MAX) return false;
  const cells = [];
  for (const { item, prompt, seed } of items) {
    const png = await store.get(itemKey(run, item, 'image.png'));
    const scores = (await readResult(store, run, item))?.scores ?? {};
    const numbers = Object.entries(scores).map(([name, score]) => `${name} ${score.toFixed(2)}`);
    cells.push({
      ...(png && { image: await decodePng(png) }),
      label: prompt,
      note: [`seed ${seed}`, ...(png ? numbers : ['no picture'])].join('  '),
    });
  }
  await store.put(contactSheetKey(run), await encodeContactSheet(cells));
  return true;
}
