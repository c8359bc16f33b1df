/**
 * @file Numbers of a worker for Prometheus: its own, and Temporal's, behind one address.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';

import { Counter, Gauge, Histogram, Registry } from 'prom-client';

import type { OptimiseEvent } from '../activities/optimiser.ts';

export class WorkerMetrics {
  readonly #registry = new Registry();
  readonly #steps = this.#counter('referee_steps_total', 'steps done');
  readonly #repeated = this.#counter('referee_steps_repeated_total', 'steps done that this process had done before');
  readonly #items = new Counter({
    name: 'referee_items_total',
    help: 'items that got a result',
    labelNames: ['state'],
    registers: [this.#registry],
  });
  readonly #errors = new Counter({
    name: 'referee_errors_total',
    help: 'errors by code',
    labelNames: ['code'],
    registers: [this.#registry],
  });
  readonly #itemSeconds = new Histogram({
    name: 'referee_item_seconds',
    help: 'from the begin of an item on this worker to its result',
    buckets: [1, 3, 10, 30, 100, 300, 1000, 3000],
    registers: [this.#registry],
  });
  readonly #checkpointSeconds = new Histogram({
    name: 'referee_checkpoint_seconds',
    help: 'from the end of a step to its checkpoint in the store',
    buckets: [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    registers: [this.#registry],
  });
  readonly #delay = monitorEventLoopDelay({ resolution: 10 });
  /** By item: when it began here, when its last step ended, the furthest step so far. */
  readonly #open = new Map<string, { readonly began: number; stepped: number; furthest: number }>();

  constructor(busy: () => number, lanes: number) {
    this.#delay.enable();
    this.#gauge('referee_lanes', 'lanes of this worker', () => lanes);
    this.#gauge('referee_lanes_busy', 'attempts on a lane or waiting for one', busy);
    this.#gauge('referee_event_loop_p99_seconds', 'delay of the event loop since the last scrape', () => {
      const p99 = this.#delay.percentile(99) / 1e9;
      this.#delay.reset();
      return Number.isFinite(p99) ? p99 : 0;
    });
  }

  onEvent(event: OptimiseEvent): void {
    if (event.type === 'note' || !('item' in event)) return;
    const now = performance.now();
    const key = `${event.run}/${event.item}`;
    const open = this.#open.get(key) ?? { began: now, stepped: now, furthest: 0 };
    this.#open.set(key, open);
    if (event.type === 'step') {
      this.#steps.inc();
      if (event.step <= open.furthest) this.#repeated.inc();
      open.furthest = Math.max(open.furthest, event.step);
      open.stepped = now;
    } else if (event.type === 'checkpoint') this.#checkpointSeconds.observe((now - open.stepped) / 1000);
    else if (event.type === 'done' || event.type === 'failed') {
      this.#items.inc({ state: event.type });
      this.#itemSeconds.observe((now - open.began) / 1000);
      if (event.type === 'failed') this.onError(event.error.code);
      this.#open.delete(key);
    }
  }

  onError(code: string): void {
    this.#errors.inc({ code });
  }

  /** In Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #counter(name: string, help: string): Counter {
    return new Counter({ name, help, registers: [this.#registry] });
  }

  #gauge(name: string, help: string, value: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(value());
      },
    });
  }
}
