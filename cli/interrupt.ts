/**
 * @file Ctrl-C: the first one asks the run to save and stop, the second one stops at once. Nothing is lost either way,
 * since every write is whole or absent; the second only loses the steps since the last checkpoint.
 */
import { EXIT } from './exit-codes.ts';

type Signal = 'SIGINT' | 'SIGTERM';

export interface Interrupt extends Disposable {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** Which one it was. */
  readonly received: Signal | undefined;
}

export interface InterruptOptions {
  /** Told once, at the first signal. */
  readonly onFirst: () => void;
  readonly process?: Pick<NodeJS.Process, 'on' | 'off' | 'exit'>;
}

export function onInterrupt({ onFirst, process: target = process }: InterruptOptions): Interrupt {
  const controller = new AbortController();
  let received: Signal | undefined;
  const handle = (signal: Signal): void => {
    if (received !== undefined) {
      // The end of the process waits for the call that a device is in. Without us a third signal ends even that wait.
      release();
      target.exit(signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated);
    }
    received = signal;
    onFirst();
    controller.abort();
  };
  const release = (): void => {
    target.off('SIGINT', handle);
    target.off('SIGTERM', handle);
  };
  target.on('SIGINT', handle);
  target.on('SIGTERM', handle);
  return {
    signal: controller.signal,
    get received() {
      return received;
    },
    [Symbol.dispose]: release,
  };
}
