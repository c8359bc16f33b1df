/**
 * @file The contact sheet of a run: every picture small, with prompt, seed and scores, in the order of the input.
 */
import { contactSheetKey, itemKey } from '../store/layout.ts';
import type { ItemId, RunId } from '../store/layout.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { decodePng } from '../store/png.ts';
import { readResult } from '../store/run.ts';

interface Shown {
  readonly item: ItemId;
  readonly prompt: string;
  readonly seed: number;
}

/**
 * Writes it, the same bytes whoever calls; `onProgress` hears how many pictures were read.
 * @returns false when the run has one picture, or more than anybody looks at on a sheet: none is written
 */
export async function writeContactSheet(
  store: ObjectStore,
  { run, items }: { readonly run: RunId; readonly items: readonly Shown[] },
  onProgress?: (pictures: number) => void,
): Promise<boolean> {
  const { encodeContactSheet, SHEET_CELLS_MAX } = await import('../store/contact-sheet.ts');
  if (items.length < 2 || items.length > SHEET_CELLS_MAX) return false;
  const cells = [];
  for (const { item, prompt, seed } of items) {
    onProgress?.(cells.length);
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
