/**
 * @file Some items searched again from nothing, in memory, and their pictures compared byte by byte. It is the one check
 * that a picture that was exchanged together with its digest does not pass.
 */
import { availableParallelism } from 'node:os';

import type { ProviderName } from '../../models/runtime/device.ts';
import type { Pack } from '../../models/packs/resolve.ts';
import { itemFolder, itemKey } from '../../store/layout.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { readResult } from '../../store/run.ts';
import { DEFAULT_LANES } from '../defaults.ts';
import { openDevices } from '../devices.ts';
import type { Devices } from '../devices.ts';
import { Engine } from '../engine.ts';
import { ItemSpecs } from '../item-specs.ts';
import { choosePlan } from '../memory-plan.ts';
import { optimise } from '../optimise.ts';
import type { ItemSource, OptimiseEvent } from '../optimise.ts';
import { PromptTokenizer } from '../prompts.ts';
import type { ItemSpec } from '../specs.ts';
import { versions } from '../versions.ts';
import { madeOn } from './check-item.ts';
import type { VerifyPlace } from './place.ts';
import { short } from './report.ts';
import type { Replayed } from './report.ts';
import type { RunItems } from './run-items.ts';

export interface ReplaySettings {
  readonly asked: number | 'all';
  readonly pack: Pack;
  /** By default the one that made most of the pictures. */
  readonly provider?: ProviderName | 'auto' | undefined;
  readonly threads?: number | undefined;
  /** As many as the run had, where the memory is so short that the plan depends on it. */
  readonly lanes?: number | undefined;
  readonly onNote: (message: string) => void;
  readonly onStep: (done: number, of: number, event: OptimiseEvent) => void;
}

/** `count` places out of `from`, the middles of as many equal parts: the same for the same run. */
export function spread<T>(from: readonly T[], count: number): T[] {
  const taken = Math.min(count, from.length);
  return Array.from({ length: taken }, (_, i) => from[Math.floor(((i + 0.5) * from.length) / taken)]!);
}

/** @throws RefereeError Interrupted by the signal, and what keeps this machine from searching at all */
export async function replay(place: VerifyPlace, items: RunItems, settings: ReplaySettings): Promise<Replayed> {
  const { asked, onNote } = settings;
  const made = items.madeOn();
  const whole = [...made.values()].reduce((sum, places) => sum + places.length, 0);
  if (whole === 0)
    return { asked, comparable: 0, searched: 0, same: 0, note: 'no picture is whole: nothing to search again' };
  const provider = settings.provider ?? providerOf(made);
  const threads = settings.threads ?? availableParallelism();
  await using devices = await openDevices({ provider, threads, log: onNote });
  const { deviceClass } = devices;
  const here = made.get(madeOn({ devices: [deviceClass], versions: { ...versions() } })) ?? [];
  const comparable = here.sort((a, b) => a - b);
  const picks = spread(comparable, asked === 'all' ? comparable.length : asked);
  const note = noteOn(picks.length, { asked, whole, made, deviceClass });
  const common = { asked, comparable: comparable.length, deviceClass, ...(note !== undefined && { note }) };
  if (picks.length === 0) return { ...common, searched: 0, same: 0 };
  const same = await new Replay(place, items, settings).run(devices, picks);
  return { ...common, searched: picks.length, same };
}

function noteOn(
  picked: number,
  of: { asked: number | 'all'; whole: number; made: ReadonlyMap<string, readonly number[]>; deviceClass: string },
): string | undefined {
  const { asked, whole, made, deviceClass } = of;
  const wanted = asked === 'all' ? whole : Math.min(asked, whole);
  if (picked >= wanted) return undefined;
  const { referee, onnxruntime } = versions();
  const here = `${deviceClass}, referee ${referee}, onnxruntime ${onnxruntime}`;
  const elsewhere = [...made.keys()].map(placeText).filter((text) => text !== here);
  return `bytes can be compared only where pictures were made alike: here is ${here}; pictures were made on ${elsewhere.join(' and ')}`;
}

function placeText(text: string): string {
  const { devices, referee, onnxruntime } = JSON.parse(text) as Record<string, string | string[]>;
  return `${String(devices)}, referee ${String(referee)}, onnxruntime ${String(onnxruntime)}`;
}

/** Of the device that made most of the pictures. */
function providerOf(made: ReadonlyMap<string, readonly number[]>): ProviderName {
  const [most] = [...made].sort(([, a], [, b]) => b.length - a.length)[0]!;
  const { devices } = JSON.parse(most) as { devices: string[] };
  return devices[0]!.split(' ')[0] as ProviderName;
}

type Ended = Extract<OptimiseEvent, { type: 'done' | 'skipped' } | { type: 'failed' }>;

class Replay {
  readonly #place: VerifyPlace;
  readonly #items: RunItems;
  readonly #settings: ReplaySettings;
  readonly #memory = new MemoryStore();
  #done = 0;
  #same = 0;

  constructor(place: VerifyPlace, items: RunItems, settings: ReplaySettings) {
    this.#place = place;
    this.#items = items;
    this.#settings = settings;
  }

  /** Returns how many have the same bytes. */
  async run(devices: Devices, picks: readonly number[]): Promise<number> {
    const { store, run, signal } = this.#place;
    const { pack } = this.#settings;
    const lanes = Math.min(this.#settings.lanes ?? DEFAULT_LANES, this.#items.size);
    const tokenizer = await PromptTokenizer.open(pack);
    const specs = new ItemSpecs({ store, pack, tokenizer });
    const specOf = (index: number): Promise<ItemSpec> => specs.open({ run, item: this.#items.ids[index]!, index });
    const first = await Promise.all(picks.slice(0, lanes).map(specOf));
    const isOpen = picks.length > first.length;
    const chosen = await choosePlan(pack, devices, { lanes, items: first, isOpen });
    const engine = await Engine.open(pack, devices.all, chosen);
    const { latentShape } = engine.models;
    const { deviceClass } = devices;
    const memory = { store: this.#memory, run, packDigest: pack.digest, deviceClass, latentShape };
    const source = lazily(picks, specOf);
    const settings = { lanes, checkpointEvery: Number.MAX_SAFE_INTEGER, previews: 'none', signal } as const;
    for await (const event of optimise(engine, memory, source, settings)) {
      if (event.type === 'done' || event.type === 'failed') await this.#compare(event);
      this.#settings.onStep(this.#done, picks.length, event);
    }
    this.#place.throwIfInterrupted();
    return this.#same;
  }

  async #compare(event: Ended): Promise<void> {
    const { store, run } = this.#place;
    const item = event.item as ItemSpec['item'];
    const key = itemKey(run, item, 'image.png');
    this.#done += 1;
    const [again, kept] = [await readResult(this.#memory, run, item), await readResult(store, run, item)];
    const [found, expected] = [kept?.digests.image ?? 'none', again?.digests.image];
    if (event.type === 'failed') this.#place.fault(key, `searched again, its search fails: ${event.error.code}`);
    else if (found !== expected)
      this.#place.fault(key, `searched again from nothing it has digest ${short(expected!)}, found ${short(found)}`);
    else if (again?.digests.latent !== kept?.digests.latent)
      this.#place.fault(itemKey(run, item, 'result.json'), 'searched again from nothing the latent has another digest');
    else this.#same += 1;
    for (const each of await this.#memory.list(itemFolder(run, item))) await this.#memory.delete(each);
  }
}

/** Specs are read when their turn comes. */
function lazily(picks: readonly number[], specOf: (index: number) => Promise<ItemSpec>): ItemSource {
  let next = 0;
  return { pull: async () => (next < picks.length ? specOf(picks[next++]!) : undefined) };
}
