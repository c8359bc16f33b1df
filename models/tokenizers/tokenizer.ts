/**
 * @file Text to token ids of a fixed length, from the tokenizer.json of a Hugging Face folder. The rules of tokenisation
 * are @huggingface/tokenizers; here are reading, padding, cutting, and what a pack's vocabulary does not know.
 */
import { RefereeError, quoted } from '../../errors.ts';
import { createEngine, type Engine } from './engine.ts';
import { readTokenizerFiles } from './files.ts';

export interface EncodeOptions {
  /** Number of ids to return, padding included. */
  readonly length: number;
  /** Token to stand in the first place instead of the tokenizer's own, such as "[DEC]" for a text decoder. */
  readonly first?: string;
}

export interface EncodedText {
  /** `length` ids: start, words, end, padding. */
  readonly ids: readonly number[];
  /** 1 for a token, 0 for padding. */
  readonly mask: readonly number[];
  /** What stands for each id before the padding; a word that is not in the vocabulary is itself. */
  readonly tokens: readonly string[];
  /** Words without a token of their own, each once, in the order of the text. */
  readonly unknownWords: readonly string[];
  readonly isCut: boolean;
  /** The end of the text that found no place. */
  readonly cutText: string | undefined;
}

export interface Tokenizer {
  /** Ids that the model behind it takes at most, where the files say so. */
  readonly maxLength: number | undefined;
  /**
   * @throws RefereeError `InvalidInput` for a length that leaves no room for the tokenizer's own tokens, or a `first`
   * that is not in the vocabulary
   */
  encode(text: string, options: EncodeOptions): EncodedText;
}

/**
 * Opens the tokenizer.json and tokenizer_config.json of a folder.
 *
 * @throws RefereeError `InvalidModel`, naming the file and the field
 */
export async function openTokenizer(folder: string): Promise<Tokenizer> {
  const { tokenizer, config } = await readTokenizerFiles(folder);
  try {
    return new FolderTokenizer(folder, createEngine(tokenizer, config), config);
  } catch (cause) {
    if (cause instanceof RefereeError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RefereeError('InvalidModel', `${folder}/tokenizer.json: cannot be used: ${reason}`, { cause });
  }
}

/** Stands for the text where the tokenizer's own tokens are looked for; no vocabulary has it. */
const PROBE = '\u0000';

class FolderTokenizer implements Tokenizer {
  readonly maxLength: number | undefined;
  readonly #folder: string;
  readonly #engine: Engine;
  readonly #ids: ReadonlyMap<string, number>;
  /** Tokens before and after every text. */
  readonly #before: readonly string[];
  readonly #after: readonly string[];
  readonly #padId: number;
  readonly #unknownId: number | undefined;

  constructor(
    folder: string,
    engine: Engine,
    config: { pad_token?: string | undefined; unk_token?: string | undefined; model_max_length?: number | undefined },
  ) {
    this.#folder = folder;
    this.#engine = engine;
    this.#ids = engine.model.tokens_to_ids;
    const framed = engine.post_processor?.post_process([PROBE]).tokens ?? [PROBE];
    this.#before = framed.slice(0, framed.indexOf(PROBE));
    this.#after = framed.slice(framed.indexOf(PROBE) + 1);
    if (config.pad_token === undefined) {
      throw new RefereeError('InvalidModel', `${folder}/tokenizer_config.json: pad_token is missing`);
    }
    this.#padId = this.#idOf(config.pad_token);
    this.#unknownId = config.unk_token === undefined ? undefined : this.#ids.get(config.unk_token);
    // Without a limit of their own, tokenizers are saved with 1e30.
    const limit = config.model_max_length;
    this.maxLength = limit !== undefined && limit < 1e9 ? limit : undefined;
  }

  encode(text: string, { length, first }: EncodeOptions): EncodedText {
    const room = length - this.#before.length - this.#after.length;
    if (!Number.isInteger(length) || room < 0) {
      const least = this.#before.length + this.#after.length;
      throw new RefereeError(
        'InvalidInput',
        `length of a text is ${quoted(length)}, expected a whole number from ${least}`,
      );
    }
    const all = this.#engine.encode(text, { add_special_tokens: false });
    const before = [...this.#before];
    if (first !== undefined) {
      if (!this.#ids.has(first))
        throw new RefereeError('InvalidInput', `token ${quoted(first)} is not in the vocabulary`);
      before[0] = first;
    }
    const frame = (tokens: readonly string[]): number[] => tokens.map((token) => this.#idOf(token));
    const ids = [...frame(before), ...all.ids.slice(0, room), ...frame(this.#after)];
    const isCut = all.ids.length > room;
    const padding = Array<number>(length - ids.length);
    return {
      ids: [...ids, ...padding.fill(this.#padId)],
      mask: [...ids.map(() => 1), ...padding.fill(0)],
      tokens: [...before, ...all.tokens.slice(0, room), ...this.#after],
      unknownWords: this.#unknownWords(text),
      isCut,
      cutText: isCut ? this.#join(all.ids.slice(room), all.tokens.slice(room)) : undefined,
    };
  }

  /** Word by word, since in a sequence some models put one unknown token for several words. */
  #unknownWords(text: string): string[] {
    const { normalizer, pre_tokenizer: splitter } = this.#engine;
    const normal = normalizer === null ? text : normalizer.normalize(text);
    const words = splitter === null ? normal.split(/\s+/).filter(Boolean) : splitter.pre_tokenize(normal);
    return [...new Set(words)].filter((word) => this.#isUnknown(word));
  }

  #isUnknown(word: string): boolean {
    const tokens = this.#engine.model.encode([word]);
    // A token with an unknown token's id is the unknown token itself, or a word that has no id.
    return tokens.some((token) => (this.#ids.get(token) ?? this.#unknownId) === this.#unknownId);
  }

  #join(ids: number[], tokens: readonly string[]): string {
    return (this.#engine.decoder === null ? tokens.join(' ') : this.#engine.decode(ids)).trim();
  }

  #idOf(token: string): number {
    const id = this.#ids.get(token);
    if (id === undefined) {
      throw new RefereeError(
        'InvalidModel',
        `${this.#folder}/tokenizer.json: token ${quoted(token)} is not in the vocabulary`,
      );
    }
    return id;
  }
}
