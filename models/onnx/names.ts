/**
 * @file Names of the nodes, or of the values, of one graph: each is given once, or kept free for what is still to come.
 */
export class Names {
  /** Name -> the number that the next one made from it tries first. */
  readonly #taken = new Map<string, number>();
  readonly #reserved = new Set<string>();
  /** Name -> the number that `free` tries next. */
  readonly #next = new Map<string, number>();

  has(name: string): boolean {
    return this.#taken.has(name);
  }

  /** Keeps names free for whoever takes exactly these. */
  reserve(names: Iterable<string>): void {
    for (const name of names) {
      if (!this.#taken.has(name)) this.#reserved.add(name);
      this.#taken.set(name, 1);
    }
  }

  isReserved(name: string): boolean {
    return this.#reserved.has(name);
  }

  /** Whether exactly this name was to be had; it no longer is. */
  take(name: string): boolean {
    if (this.#reserved.delete(name)) return true;
    if (this.#taken.has(name)) return false;
    this.#taken.set(name, 1);
    return true;
  }

  /** The name itself, or one made from it where it is taken or reserved. It is taken from now on. */
  unique(name: string): string {
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
    if (name !== '' && !this.#taken.has(name)) return name;
    let count = this.#next.get(name) ?? 0;
    while (this.#taken.has(`${name}_${count}`)) count += 1;
    this.#next.set(name, count + 1);
    return `${name}_${count}`;
  }
}
