/**
 * @file Where the size behind a symbolic dimension can be read at run time.
 */
import type { Value } from './graph.ts';
import { dimProduct, isUnknown } from './shapes.ts';

export interface SymbolSource {
  readonly value: Value;
  readonly axis: number;
}

export class SymbolSources {
  readonly #sources = new Map<string, SymbolSource>();
  /** Values that were not yet looked through: of most graphs nobody asks for a symbol once they are built. */
  #unread: Value[] = [];

  add(value: Value): void {
    this.#unread.push(value);
  }

  /** The first value that has an axis of this size. */
  of(symbol: string): SymbolSource | undefined {
    for (const value of this.#unread) {
      for (const [axis, dim] of value.shape.entries()) {
        if (typeof dim === 'number' || this.#sources.has(dim)) continue;
        if (isUnknown(dim) || dim === dimProduct([dim])) this.#sources.set(dim, { value, axis });
      }
    }
    this.#unread = [];
    return this.#sources.get(symbol);
  }
}
