/**
 * @file Names of the nodes, or of the values, of one graph: each is given once, or kept free for what is still to come.
 */
import type { Graph } from './graph.ts';

export class Names {
  /** Name -> the number that the next one made from it tries first. */
  readonly #taken = new Map<string, number>();
  readonly #reserved = new Set<string>();
  /** Name -> the number that `free` tries next. */
  readonly #next = new Map<string, number>();
  /** Names that are reserved, not entered yet: most passes over a graph make no name. */
  #later: (() => Iterable<string>) | undefined;
  /** Those of them that were taken meanwhile. */
  readonly #kept: string[] = [];

  /** Keeps names free for whoever takes exactly these. */
  reserve(names: Iterable<string>): void {
    for (const name of names) {
      if (!this.#taken.has(name)) this.#reserved.add(name);
      this.#taken.set(name, 1);
    }
  }

  /** Reserves names, each different and none of them taken, when it first matters. */
  reserveLater(names: () => Iterable<string>): void {
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
    return this.#reserved.has(name);
  }

  /** Whether exactly this name was to be had; it no longer is. */
  take(name: string): boolean {
    this.#enter();
    if (this.#reserved.delete(name)) return true;
    if (this.#taken.has(name)) return false;
    this.#taken.set(name, 1);
    return true;
  }

  /** The name itself, or one made from it where it is taken or reserved. It is taken from now on. */
  unique(name: string): string {
    this.#enter();
    let count = this.#taken.get(name) ?? 0;
    let unique = name;
    while (this.#taken.has(unique)) {
      unique = `${name}_${count}`;
      count += 1;
    }
    this.#taken.set(name, count);
    this.#taken.set(unique, Math.max(1, this.#taken.get(unique) ?? 0));
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
    this.reserve(this.#later());
    this.#later = undefined;
    for (const name of this.#kept) this.#reserved.delete(name);
  }
}

/** Of everything that flows through a graph. */
export function* valueNames({ inputs, initializers, nodes }: Graph): Iterable<string> {
  for (const { name } of inputs) yield name;
  for (const { value } of initializers) yield value.name;
  for (const { outputs } of nodes) for (const { name } of outputs) yield name;
}

export function* nodeNames({ nodes }: Graph): Iterable<string> {
  for (const { name } of nodes) yield name;
}
