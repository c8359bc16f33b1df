/**
 * @file Names of the nodes, or of the values, of one graph: each is given once, or kept free for what is still to come.
 */
import type { Graph } from './graph.ts';

/** Calls with every name that there is. */
export type Source = (call: (name: string) => void) => void;

const RESERVED = -1;

export class Names {
  /** Name -> the number that the next one made from it tries first; below zero while the name is reserved. */
  readonly #taken = new Map<string, number>();
  /** Name -> the number that `free` tries next. */
  readonly #next = new Map<string, number>();
  /** Names that are reserved, not entered yet: most passes over a graph make no name. */
  #later: Source | undefined;
  /** Those of them that were taken meanwhile. */
  readonly #kept: string[] = [];

  /** Keeps names free for whoever takes exactly these. */
  reserve(names: Iterable<string>): void {
    for (const name of names) {
      const count = this.#taken.get(name) ?? RESERVED;
      this.#taken.set(name, count < 0 ? RESERVED : 1);
    }
  }

  /** Reserves names, each different and none of them taken, when it first matters. */
  reserveLater(names: Source): void {
    this.#later = names;
  }

  /** As `take`, for a name that is reserved. */
  keep(name: string): boolean {
    if (!this.#later) return this.take(name);
    this.#kept.push(name);
    return true;
  }

  isReserved(name: string): boolean {
    this.#enter();
    return (this.#taken.get(name) ?? 0) < 0;
  }

  /** Whether exactly this name was to be had; it no longer is. */
  take(name: string): boolean {
    this.#enter();
    const count = this.#taken.get(name);
    if (count !== undefined && count >= 0) return false;
    this.#taken.set(name, -(count ?? RESERVED));
    return true;
  }

  /** The name itself, or one made from it where it is taken or reserved. It is taken from now on. */
  unique(name: string): string {
    this.#enter();
    const known = this.#taken.get(name);
    if (known === undefined) {
      this.#taken.set(name, 1);
      return name;
    }
    let count = Math.abs(known);
    let unique: string;
    do {
      unique = `${name}_${count}`;
      count += 1;
    } while (this.#taken.has(unique));
    this.#taken.set(name, known < 0 ? -count : count);
    this.#taken.set(unique, 1);
    return unique;
  }

  /** The name itself, or one made from it that nobody has; asked for again it is another one. It is not taken. */
  free(name: string): string {
    this.#enter();
    if (name !== '' && !this.#taken.has(name)) return name;
    let count = this.#next.get(name) ?? 0;
    while (this.#taken.has(`${name}_${count}`)) count += 1;
    this.#next.set(name, count + 1);
    return `${name}_${count}`;
  }

  #enter(): void {
    if (!this.#later) return;
    this.#later((name) => this.#taken.set(name, RESERVED));
    this.#later = undefined;
    for (const name of this.#kept) this.#taken.set(name, -RESERVED);
  }
}

/** Of everything that flows through a graph. */
export function valueNames({ inputs, initializers, nodes }: Graph): Source {
  return (call) => {
    for (const { name } of inputs) call(name);
    for (const { value } of initializers) call(value.name);
    for (const { outputs } of nodes) for (const { name } of outputs) call(name);
  };
}

export function nodeNames({ nodes }: Graph): Source {
  return (call) => {
    for (const { name } of nodes) call(name);
  };
}
