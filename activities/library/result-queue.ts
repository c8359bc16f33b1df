/**
 * @file Values on their way from a producer that may run ahead a little to a consumer that takes them one by one.
 */

interface Waiter<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

export class ResultQueue<T> {
  #limit: number;
  readonly #values: T[] = [];
  #consumers: Waiter<T>[] = [];
  #producers: (() => void)[] = [];
  #isOver = false;
  #error: { readonly reason: unknown } | undefined;

  /** `limit`: values that wait for the consumer before the producer has to. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Resolves when there is room for the next value, at once after the end. */
  async push(value: T): Promise<void> {
    if (this.#isOver) return;
    const consumer = this.#consumers.shift();
    if (consumer) {
      consumer.resolve({ done: false, value });
      return;
    }
    this.#values.push(value);
    if (this.#values.length >= this.#limit) await new Promise<void>((resolve) => this.#producers.push(resolve));
  }

  /** The next value; after the last one the error, once, and then the end. */
  async next(): Promise<IteratorResult<T, undefined>> {
    const value = this.#values.shift();
    if (value !== undefined) {
      if (this.#values.length < this.#limit) this.#release();
      return { done: false, value };
    }
    if (!this.#isOver) return new Promise((resolve, reject) => this.#consumers.push({ resolve, reject }));
    const error = this.#error;
    this.#error = undefined;
    if (error) throw error.reason;
    return { done: true, value: undefined };
  }

  /** From now on the producer never has to wait. */
  lift(): void {
    this.#limit = Infinity;
    this.#release();
  }

  /** No more values; those that wait can still be taken. */
  end(error?: { readonly reason: unknown }): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    this.#release();
    const [first, ...others] = this.#consumers;
    this.#consumers = [];
    if (first) void this.next().then(first.resolve, first.reject);
    for (const consumer of others) consumer.resolve({ done: true, value: undefined });
  }

  /** Nobody takes values any more: those that wait are dropped, and whoever pushes is not kept. */
  close(): void {
    this.#values.length = 0;
    this.end();
  }

  #release(): void {
    const producers = this.#producers;
    this.#producers = [];
    for (const resolve of producers) resolve();
  }
}
