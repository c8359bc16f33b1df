/**
 * @file Values by the names of a file. A branch of `If` sees the values around it, nobody sees those of a branch.
 */
import type { Value } from './graph.ts';

export class Scope {
  readonly #values = new Map<string, Value>();
  readonly #around: Scope | undefined;
  /** How many scopes lie around this one. */
  readonly depth: number;

  constructor(around?: Scope) {
    this.#around = around;
    this.depth = around ? around.depth + 1 : 0;
  }

  get(name: string): Value | undefined {
    return this.#values.get(name) ?? this.#around?.get(name);
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  set(name: string, value: Value): void {
    this.#values.set(name, value);
  }
}
