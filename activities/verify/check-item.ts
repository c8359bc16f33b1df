/**
 * @file One item: its spec gives its id, its result agrees with both, its files are whole, and every digest that is stated
 * is that of the bytes.
 */
import { z } from 'zod';

import { isRefereeError, quoted } from '../../errors.ts';
import type { MethodOptions } from '../../inversion/options.ts';
import { resolveOptions, SD15_DEFAULTS } from '../../inversion/options.ts';
import { totalSteps } from '../../inversion/state.ts';
import { canonicalJson, contentDigest, sha256 } from '../../store/ids.ts';
import { itemKey, parseKey } from '../../store/layout.ts';
import type { ItemFile, ItemId, ObjectKey } from '../../store/layout.ts';
import { readPngText } from '../../store/png.ts';
import { parseResult, writeResult } from '../../store/result.ts';
import type { Result } from '../../store/result.ts';
import type { RunRecord } from '../../store/run.ts';
import { CheckpointCheck } from './check-checkpoints.ts';
import { jsonOf, linesFault, textOf, webpFault } from './formats.ts';
import type { VerifyPlace } from './place.ts';
import { short } from './report.ts';
import type { RunItems } from './run-items.ts';

const specSchema = z.object({
  item: z.string(),
  digest: z.string(),
  index: z.int().min(0),
  prompt: z.string(),
  seed: z.int().min(0),
  options: z.record(z.string(), z.unknown()),
  pack: z.object({ digest: z.string() }),
});

type Spec = z.infer<typeof specSchema>;

export interface ItemFiles {
  readonly item: ItemId;
  readonly index: number;
  readonly keys: readonly ObjectKey[];
}

/** Where results are made alike: device and versions, as text. */
export function madeOn({ devices, versions }: Pick<Result, 'devices' | 'versions'>): string {
  return canonicalJson({ devices, referee: versions['referee'], onnxruntime: versions['onnxruntime'] });
}

export class ItemCheck {
  readonly #place: VerifyPlace;
  readonly #items: RunItems;
  readonly #record: RunRecord | undefined;
  readonly #files: ItemFiles;
  #faults = 0;

  constructor(of: { place: VerifyPlace; items: RunItems; record: RunRecord | undefined; files: ItemFiles }) {
    this.#place = of.place;
    this.#items = of.items;
    this.#record = of.record;
    this.#files = of.files;
  }

  async run(): Promise<void> {
    const { item, index, keys } = this.#files;
    this.#items.setSeen(index);
    const result = await this.#result();
    const isOver = result !== undefined;
    const spec = this.#has('spec.json') || isOver ? await this.#spec() : undefined;
    const options = spec && this.#options(spec);
    if (result) {
      this.#checkResult(result, spec, options);
      const state = result.state;
      this.#items.setResult(index, state, { text: writeResult(result), madeOn: madeOn(result) });
      this.#place.counts[state] += 1;
      if (state === 'failed') this.#place.listeners.onFailed({ item, index, code: result.error?.code ?? 'unknown' });
    }
    if (this.#has('image.png') || result?.state === 'succeeded') await this.#image(result);
    if (this.#has('trace.jsonl') || result?.state === 'succeeded') await this.#trace(result);
    await this.#checkpoints(spec, options, result);
    for (const key of keys) if (parseKey(key)?.kind === 'preview') await this.#checked(key, webpFault);
    if (this.#faults > 0) this.#items.setFaulty(index);
  }

  #key(file: ItemFile): ObjectKey {
    return itemKey(this.#place.run, this.#files.item, file);
  }

  #has(file: ItemFile): boolean {
    return this.#files.keys.includes(this.#key(file));
  }

  #fault(key: string, what: string): void {
    this.#faults += 1;
    this.#place.fault(key, what);
  }

  async #read(key: ObjectKey): Promise<Uint8Array | undefined> {
    const bytes = await this.#place.read(key);
    if (bytes === undefined) this.#faults += 1;
    return bytes;
  }

  async #checked(key: ObjectKey, faultOf: (bytes: Uint8Array) => string | undefined): Promise<void> {
    const bytes = await this.#read(key);
    const fault = bytes && faultOf(bytes);
    if (fault !== undefined) this.#fault(key, fault);
  }

  /** Undefined where there is none, or none that can be read. */
  async #result(): Promise<Result | undefined> {
    if (!this.#has('result.json')) return undefined;
    const key = this.#key('result.json');
    let result: Result | undefined;
    await this.#checked(key, (bytes) => {
      try {
        result = parseResult(textOf(bytes) ?? '', key);
        return undefined;
      } catch (error) {
        if (isRefereeError(error)) return error.message.replace(`${key}: `, '');
        throw error;
      }
    });
    if (!result) this.#items.setResult(this.#files.index, 'unreadable');
    return result;
  }

  async #spec(): Promise<Spec | undefined> {
    const { item, index } = this.#files;
    const key = this.#key('spec.json');
    let spec: Spec | undefined;
    await this.#checked(key, (bytes) => {
      const parsed = specSchema.safeParse(jsonOf(textOf(bytes) ?? ''));
      if (!parsed.success) return `not the spec of an item: "${parsed.error.issues[0]!.path.join('.')}"`;
      spec = parsed.data;
      const { prompt, seed, options, pack } = spec;
      const digest = contentDigest({ prompt, seed, options, packDigest: pack.digest });
      if (digest !== spec.digest)
        return `its content has digest ${short(digest)}, it says ${quoted(short(spec.digest))}`;
      if (item !== spec.item || item !== `i${digest.slice(0, 20)}`) return `is of item i${digest.slice(0, 20)}`;
      if (!this.#items.isAsked(index, spec)) return 'has another prompt or seed than prompts/';
      if (spec.index !== index) return `says place ${spec.index}, prompts/ has it at ${index}`;
      if (this.#record && pack.digest !== this.#record.pack.digest)
        return `is of pack ${short(pack.digest)}, run.json says ${short(this.#record.pack.digest)}`;
      this.#place.counts.specs += 1;
      return undefined;
    });
    return spec;
  }

  #options({ options }: Spec): MethodOptions | undefined {
    try {
      return resolveOptions(SD15_DEFAULTS, options);
    } catch (error) {
      if (!isRefereeError(error)) throw error;
      this.#fault(this.#key('spec.json'), error.message);
      return undefined;
    }
  }

  #checkResult(result: Result, spec: Spec | undefined, options: MethodOptions | undefined): void {
    const { run } = this.#place;
    const { item, index } = this.#files;
    const fault = (what: string): void => this.#fault(this.#key('result.json'), what);
    if (result.run !== run || result.item !== item)
      fault(`is of item ${quoted(result.item)} of run ${quoted(result.run)}`);
    if (result.index !== index) fault(`says place ${result.index}, prompts/ has it at ${index}`);
    if (!this.#items.isAsked(index, result)) fault('has another prompt or seed than prompts/');
    if (spec && result.digests.spec !== spec.digest)
      fault(`names the spec ${short(result.digests.spec)}, spec.json has ${short(spec.digest)}`);
    if (spec && canonicalJson(result.settings) !== canonicalJson(spec.options))
      fault('has other settings than spec.json');
    if (spec && result.pack.digest !== spec.pack.digest)
      fault(`is of pack ${short(result.pack.digest)}, spec.json says ${short(spec.pack.digest)}`);
    if (result.state === 'failed') {
      if (!result.error) fault('says failed and no error');
      return;
    }
    if (result.digests.image === undefined) fault('says succeeded and names no picture');
    if (options && result.steps !== totalSteps(options))
      fault(`says ${result.steps} steps, its settings are ${totalSteps(options)}`);
  }

  /** A picture is looked at too where its item has failed or has no result yet: it is whole or absent. */
  async #image(result: Result | undefined): Promise<void> {
    const { item } = this.#files;
    await this.#checked(this.#key('image.png'), (bytes) => {
      const expected = result?.state === 'succeeded' ? result.digests.image : undefined;
      const found = sha256(bytes);
      if (expected !== undefined && found !== expected)
        return `has digest ${short(found)}, result.json says ${short(expected)}`;
      const texts = readPngText(bytes);
      const block = z.looseObject({ item: z.string() }).safeParse(jsonOf(texts['referee'] ?? ''));
      if (!block.success) return 'does not say how it was made';
      if (block.data.item !== item) return `is the picture of item ${quoted(block.data.item)}`;
      const { width, height } = sizeOf(bytes);
      if (result && (width !== result.width || height !== result.height))
        return `is ${width} x ${height}, result.json says ${result.width} x ${result.height}`;
      if (expected !== undefined) this.#place.counts.images += 1;
      return undefined;
    });
  }

  async #trace(result: Result | undefined): Promise<void> {
    const row = z.looseObject({ step: z.int() });
    let rows = 0;
    await this.#checked(this.#key('trace.jsonl'), (bytes) => {
      const fault = linesFault(bytes, (value, line) => {
        rows += 1;
        return row.safeParse(value).data?.step === line ? undefined : `expected step ${line}`;
      });
      if (fault !== undefined) return fault;
      if (result?.state !== 'succeeded' || rows === result.steps) return undefined;
      return `has ${rows} steps, result.json says ${result.steps}`;
    });
  }

  async #checkpoints(
    spec: Spec | undefined,
    options: MethodOptions | undefined,
    result: Result | undefined,
  ): Promise<void> {
    const owner = spec && { specDigest: spec.digest, packDigest: spec.pack.digest };
    const latent = result?.state === 'succeeded' ? result.digests.latent : undefined;
    const check = new CheckpointCheck({ owner, options, latent, counts: this.#place.counts });
    for (const key of this.#files.keys) {
      const parsed = parseKey(key);
      if (parsed?.kind === 'checkpoint')
        await this.#checked(key, (bytes) => check.faultOf(bytes, { key, step: parsed.step }));
    }
  }
}

/** Of a PNG that was read already: the first chunk has it. */
function sizeOf(bytes: Uint8Array): { width: number; height: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { width: view.getUint32(16), height: view.getUint32(20) };
}
