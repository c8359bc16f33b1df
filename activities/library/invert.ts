/**
 * @file One prompt, one picture, as a stream of events. The search goes as fast as its events are taken, and ends where
 * nobody takes them any more.
 */
import { z } from 'zod';

import { RefereeError } from '../../errors.ts';
import { toRgb8 } from '../../store/pixels.ts';
import { encodePng } from '../../store/png.ts';
import { provenanceText } from '../../store/provenance.ts';
import { runId } from '../../store/ids.ts';
import type { RunId } from '../../store/layout.ts';
import { createRun, itemState, writeManifest, writeSpec } from '../../store/run.ts';
import { DEFAULT_CHECKPOINT_EVERY } from '../defaults.ts';
import type { OptimiseEvent, Preview } from '../optimise.ts';
import { toError } from '../run-events.ts';
import { promptRow, runRecord, specFile } from '../run-files.ts';
import type { ItemSpec } from '../specs.ts';
import type { Finished } from './readers.ts';
import { finishedItem } from './readers.ts';
import { checkSettings, interrupted, SETTINGS_FIELDS, storeOf } from './settings.ts';
import type { PromptFields, SearchSettings } from './settings.ts';
import { notesOn, openWorkplace, requestsOf, specOf } from './workplace.ts';
import type { Workplace } from './workplace.ts';

export type InvertSpec = PromptFields;

export interface InvertSettings extends SearchSettings {
  /** Whether `preview` events come, after 1, 2, 4, 8 ... steps. Default true. */
  readonly previews?: boolean;
}

export type InvertEvent =
  | {
      readonly type: 'step';
      /** Steps done, and steps of the whole search. */
      readonly step: number;
      readonly steps: number;
      /** By referee; empty outside of the referee's phase. */
      readonly losses: Readonly<Record<string, number>>;
    }
  | {
      readonly type: 'preview';
      readonly step: number;
      /** The picture so far as a PNG file; encoded when it is asked for. */
      readonly image: () => Promise<Uint8Array>;
      /** Of the stored preview; only with a store. */
      readonly path?: string;
    }
  /** Only with a store. */
  | { readonly type: 'checkpoint'; readonly step: number; readonly path: string }
  /** Something worth knowing that is no error: a prompt that is too long. */
  | { readonly type: 'note'; readonly message: string }
  | ({ readonly type: 'done' } & Finished);

const settingsSchema = z.strictObject({
  ...SETTINGS_FIELDS,
  previews: z.boolean({ error: 'true or false' }).default(true),
});

type Settings = z.output<typeof settingsSchema>;

/**
 * Searches the picture of a prompt. The last event is `done`; with a store, the same call again goes on where an earlier
 * one ended, and what is finished is not searched again.
 *
 * @example
 * for await (const event of invert({ prompt: 'a red circle', seed: 7 })) {
 *   if (event.type === 'done') await writeFile('circle.png', await event.image());
 * }
 * @throws RefereeError from the iteration: for anything wrong with the arguments, for a search that fails, and
 * `Interrupted` when the signal fired. `break` writes a checkpoint, if there is a store, and releases the device.
 */
export async function* invert(
  spec: InvertSpec,
  settings: InvertSettings = {},
): AsyncGenerator<InvertEvent, void, undefined> {
  const checked = checkSettings(settingsSchema, settings, 'invert');
  const { signal } = checked;
  if (signal?.aborted === true) throw interrupted(signal, 'interrupted before the first step');
  const { store, isLasting } = storeOf(checked.store);
  const workplace = await openWorkplace(checked.pack, store);
  const item = onlyItem(spec, workplace);
  for (const message of notesOn(item)) yield { type: 'note', message };
  const run = runId([item.item]);
  const { pack } = workplace;
  await createRun(store, { run, record: runRecord(run, 1, pack), prompts: [promptRow(item, workplace.defaults)] });
  if ((await itemState(store, run, item.item)) !== 'succeeded') {
    await writeSpec(store, run, item.item, specFile(item, pack));
    yield* search({ item, run, workplace, isLasting }, checked);
    await writeManifest(store, run, [item.item]);
  }
  yield { type: 'done', ...(await finishedItem({ store, run, packDigest: pack.digest }, item)) };
}

function onlyItem(spec: InvertSpec, workplace: Workplace): ItemSpec {
  const requests = requestsOf(spec, workplace);
  if (requests.length !== 1) {
    throw new RefereeError(
      'InvalidInput',
      `"seeds": expected one seed, found ${requests.length}: that is for openRun`,
      {
        details: { field: 'seeds' },
      },
    );
  }
  return specOf(requests[0]!, workplace);
}

interface Search {
  readonly item: ItemSpec;
  readonly run: RunId;
  readonly workplace: Workplace;
  readonly isLasting: boolean;
}

/** Ends when the picture is there. */
async function* search(
  { item, run, workplace, isLasting }: Search,
  settings: Settings,
): AsyncGenerator<InvertEvent, void, undefined> {
  const { signal = new AbortController().signal, previews } = settings;
  const [{ searchAll }, { listed }] = await Promise.all([import('./searches.ts'), import('../optimise.ts')]);
  let step = 0;
  const events = searchAll({
    workplace,
    run,
    source: listed([item]),
    known: [item],
    provider: settings.provider,
    threads: settings.threads,
    settings: {
      lanes: 1,
      checkpointEvery: settings.checkpointEvery ?? (isLasting ? DEFAULT_CHECKPOINT_EVERY : Number.MAX_SAFE_INTEGER),
      previews: !previews ? 'none' : isLasting ? 'stored' : 'told',
      signal,
    },
  });
  for await (const event of events) {
    if ('step' in event) step = event.step;
    if (event.type === 'failed') throw toError(event.error);
    if (event.type === 'done') return;
    if (event.type === 'checkpoint' && !isLasting) continue;
    const told = toInvertEvent(event);
    if (told) yield told;
  }
  throw interrupted(signal, `interrupted after step ${step}${isLasting ? ', saved to go on' : ''}`);
}

function toInvertEvent(event: OptimiseEvent): InvertEvent | undefined {
  switch (event.type) {
    case 'step':
      return { type: 'step', step: event.step, steps: event.steps, losses: event.losses };
    case 'checkpoint':
      return { type: 'checkpoint', step: event.step, path: event.path };
    case 'preview': {
      const { step, path, picture } = event;
      return { type: 'preview', step, image: () => previewImage(picture), ...(path !== undefined && { path }) };
    }
    case 'note':
      return { type: 'note', message: event.message };
    default:
      return undefined;
  }
}

async function previewImage({ pixels01, width, height, provenance }: Preview): Promise<Uint8Array> {
  return encodePng(toRgb8(pixels01, width, height), provenanceText(provenance));
}
