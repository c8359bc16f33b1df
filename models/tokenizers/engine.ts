/**
 * @file What we use of @huggingface/tokenizers 0.2.0, typed here: its own declarations import one another without file
 * extensions, which TypeScript does not resolve for ES modules. To be dropped once they do.
 */
import { Tokenizer } from '@huggingface/tokenizers';

export interface Engine {
  readonly normalizer: { normalize(text: string): string } | null;
  readonly pre_tokenizer: { pre_tokenize(text: string): string[] } | null;
  readonly model: { encode(words: string[]): string[]; readonly tokens_to_ids: ReadonlyMap<string, number> };
  readonly post_processor: { post_process(tokens: string[]): { readonly tokens: string[] } } | null;
  readonly decoder: object | null;
  encode(text: string, options: { add_special_tokens: boolean }): { readonly ids: number[]; readonly tokens: string[] };
  decode(ids: number[]): string;
}

type EngineClass = new (tokenizer: object, config: object) => Engine;

/** @throws Error for rules that the library does not know */
export function createEngine(tokenizer: object, config: object): Engine {
  return new (Tokenizer as unknown as EngineClass)(tokenizer, config);
}
