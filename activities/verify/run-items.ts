/**
 * @file The items that a run has by its prompts, and what was found of each: a few dozen bytes an item, so that a run of a
 * million fits.
 */
import { canonicalJson, sha256 } from '../../store/ids.ts';
import type { ItemId } from '../../store/layout.ts';
import type { PromptRow } from '../../store/run.ts';

/** `open`: nothing was found that says how it ended. `unreadable`: its result cannot be read, which is a fault. */
export type Found = 'open' | 'succeeded' | 'failed' | 'unreadable';

const STATES: readonly Found[] = ['open', 'succeeded', 'failed', 'unreadable'];
/** Bytes of a digest that are kept: chance does not find another text with the same. */
const KEPT = 16;

export class RunItems {
  readonly #index = new Map<string, number>();
  readonly #ids: ItemId[] = [];
  readonly #asked: Buffer[] = [];
  readonly #results = new Map<number, Buffer>();
  readonly #states: number[] = [];
  readonly #classes: number[] = [];
  readonly #classNames: string[] = [];
  /** Items of which something is wrong. */
  readonly #faulty = new Set<number>();
  /** Items of which there is any file. */
  readonly #seen = new Set<number>();

  get size(): number {
    return this.#ids.length;
  }

  get ids(): readonly ItemId[] {
    return this.#ids;
  }

  /** False where the item is there already. */
  add({ item, prompt, seed }: PromptRow): boolean {
    if (this.#index.has(item)) return false;
    this.#index.set(item, this.#ids.length);
    this.#ids.push(item as ItemId);
    this.#asked.push(askedDigest(prompt, seed));
    this.#states.push(0);
    this.#classes.push(-1);
    return true;
  }

  indexOf(item: string): number | undefined {
    return this.#index.get(item);
  }

  isAsked(index: number, { prompt, seed }: Pick<PromptRow, 'prompt' | 'seed'>): boolean {
    return this.#asked[index]?.equals(askedDigest(prompt, seed)) === true;
  }

  state(index: number): Found {
    return STATES[this.#states[index] ?? 0]!;
  }

  /** `text`: of the result as a line of the manifest has it. `madeOn`: device and versions, within which bytes are the same. */
  setResult(index: number, state: Found, { text, madeOn }: { text?: string; madeOn?: string } = {}): void {
    this.#states[index] = STATES.indexOf(state);
    if (text !== undefined) this.#results.set(index, textDigest(text));
    if (madeOn === undefined) return;
    const known = this.#classNames.indexOf(madeOn);
    this.#classes[index] = known >= 0 ? known : this.#classNames.push(madeOn) - 1;
  }

  hasResult(index: number, text: string): boolean {
    return this.#results.get(index)?.equals(textDigest(text)) === true;
  }

  isSeen(index: number): boolean {
    return this.#seen.has(index);
  }

  setSeen(index: number): void {
    this.#seen.add(index);
  }

  setFaulty(index: number): void {
    this.#faulty.add(index);
  }

  /** Places of items that succeeded, and of which nothing is wrong, by where they were made. */
  madeOn(): Map<string, number[]> {
    const places = new Map<string, number[]>();
    for (const [index, at] of this.#classes.entries()) {
      if (at < 0 || this.#faulty.has(index) || this.state(index) !== 'succeeded') continue;
      const name = this.#classNames[at]!;
      if (!places.has(name)) places.set(name, []);
      places.get(name)!.push(index);
    }
    return places;
  }
}

function askedDigest(prompt: string, seed: number): Buffer {
  return textDigest(canonicalJson({ prompt, seed }));
}

function textDigest(text: string): Buffer {
  return Buffer.from(sha256(text).slice(0, 2 * KEPT), 'hex');
}
