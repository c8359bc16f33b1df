/**
 * @file The pages of prompts: all there, every item once, together what `run.json` says and what the run's id is made of.
 */
import { quoted } from '../../errors.ts';
import { runId } from '../../store/ids.ts';
import { PROMPTS_PER_PART, promptsKey, runKey } from '../../store/layout.ts';
import { promptRowSchema } from '../../store/run.ts';
import type { RunRecord } from '../../store/run.ts';
import { jsonOf, textOf } from './formats.ts';
import type { VerifyPlace } from './place.ts';
import { RunItems } from './run-items.ts';

/** Ids that are digests of the items; runs of streams have others. */
const DERIVED = /^r[0-9a-f]{12}$/;
const ITEM = /^[a-z0-9-]{1,64}$/;

/** @param parts pages, of what is in the store */
export async function checkPrompts(
  place: VerifyPlace,
  record: RunRecord | undefined,
  parts: number,
): Promise<RunItems> {
  const items = new RunItems();
  const { run, counts } = place;
  const expected = Math.max(parts, record ? Math.ceil(record.items / PROMPTS_PER_PART) : 0);
  const before = counts.faults;
  for (let part = 0; part < expected; part++) {
    const key = promptsKey(run, part);
    const bytes = await place.read(key);
    const text = bytes && textOf(bytes);
    if (bytes && text === undefined) place.fault(key, 'not UTF-8 text');
    if (text === undefined) continue;
    if (!text.endsWith('\n')) place.fault(key, 'is cut off: the last line has no end');
    const lines = text.split('\n').filter((line) => line !== '');
    for (const [i, line] of lines.entries()) {
      const fault = rowFault(items, line, part * PROMPTS_PER_PART + i);
      if (fault !== undefined) place.fault(`${key}:${i + 1}`, fault);
    }
    if (part < expected - 1 && lines.length !== PROMPTS_PER_PART)
      place.fault(key, `expected ${PROMPTS_PER_PART} items, found ${lines.length}`);
  }
  if (record && counts.faults === before && record.items !== items.size)
    place.fault(runKey(run), `says ${record.items} items; prompts/ has ${items.size}`);
  if (DERIVED.test(run) && counts.faults === before && runId(items.ids) !== run)
    place.fault(runKey(run), `prompts/ has the items of another run: ${runId(items.ids)}`);
  return items;
}

function rowFault(items: RunItems, line: string, index: number): string | undefined {
  const parsed = promptRowSchema.safeParse(jsonOf(line));
  if (!parsed.success) return `not an item: ${quoted(line)}`;
  const row = parsed.data;
  if (row.index !== index) return `expected item ${index}, found ${row.index}`;
  if (!ITEM.test(row.item)) return `no id of an item: ${quoted(row.item)}`;
  return items.add(row) ? undefined : `item ${row.item} is there twice`;
}
