/**
 * @file Text contexts of prompts by a session that is there while it is needed: steps need its results only, and the text
 * encoder of a large pack takes memory that a step could use.
 */
import type { Tensor } from '../models/onnx/dtype.ts';
import type { Session } from '../models/runtime/device.ts';

export interface TextEncoder {
  /** `input_ids` [1, T], int64, to `context` [1, T, D], float32. */
  readonly session: Session;
  /** Whether it stays when nothing is asked of it: what takes little memory is not worth loading again. */
  readonly stays: boolean;
}

/** Contexts that are remembered: those of prompts that are under way, and the one of no prompt, which all of them need. */
const MOST_REMEMBERED = 64;

export class TextContexts {
  readonly #load: () => Promise<TextEncoder>;
  /** By token ids, the one asked for last at the end. */
  readonly #contexts = new Map<string, Promise<Float32Array>>();
  #encoder: Promise<TextEncoder> | undefined;
  #users = 0;

  constructor(load: () => Promise<TextEncoder>) {
    this.#load = load;
  }

  /** Text context of token ids, [T, D]. What failed is tried again by whoever asks next. */
  of(ids: readonly number[]): Promise<Float32Array> {
    const key = ids.join(' ');
    const context = this.#contexts.get(key) ?? this.#encode(ids);
    this.#contexts.delete(key);
    this.#contexts.set(key, context);
    const [oldest] = this.#contexts.keys();
    if (this.#contexts.size > MOST_REMEMBERED) this.#contexts.delete(oldest!);
    context.catch(() => {
      if (this.#contexts.get(key) === context) this.#contexts.delete(key);
    });
    return context;
  }

  async #encode(ids: readonly number[]): Promise<Float32Array> {
    this.#users += 1;
    try {
      const { session } = await (this.#encoder ??= this.#load());
      const input_ids: Tensor = { dtype: 'int64', shape: [1, ids.length], data: BigInt64Array.from(ids, BigInt) };
      const { context } = await session.run({ input_ids });
      return context!.data as Float32Array;
    } finally {
      this.#users -= 1;
      if (this.#users === 0) await this.#rest();
    }
  }

  /** Gives back an encoder that does not stay, and forgets one that failed to load. */
  async #rest(): Promise<void> {
    const encoder = this.#encoder;
    const loaded = await encoder?.catch(() => undefined);
    // Somebody may have come while that was looked at.
    if (this.#users > 0 || this.#encoder !== encoder || loaded?.stays) return;
    this.#encoder = undefined;
    await loaded?.session.release();
  }
}
