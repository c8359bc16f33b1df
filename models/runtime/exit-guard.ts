/**
 * @file A process that ends while onnxruntime runs in another thread is aborted: the runtime's binding throws into an
 * environment that is being torn down (onnxruntime-node 1.30, seen as "terminate called ... Napi::Error", exit code 134).
 * So the exit of the process waits for the native call under way, and none starts after that.
 */
import { RefereeError } from '../../errors.ts';

const IDLE = 0;
const RUNNING = 1;
const ENDING = 2;

/** A native call this long is given up; the process then ends as it will. */
const PATIENCE_MS = 60_000;

/** The word of memory that both threads look at. */
export function newGuardWord(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
}

/** In the device thread: one native call, during which the process does not end. */
export async function guarded<T>(word: Int32Array, call: () => Promise<T>): Promise<T> {
  if (Atomics.compareExchange(word, 0, IDLE, RUNNING) !== IDLE) {
    throw new RefereeError('DeviceLost', 'the process is ending');
  }
  try {
    return await call();
  } finally {
    Atomics.store(word, 0, IDLE);
    Atomics.notify(word, 0);
  }
}

/** In the main thread: makes the exit of the process wait. Returns what undoes it, for when the device thread has ended. */
export function holdExit(word: Int32Array): () => void {
  const onExit = (): void => {
    const deadline = Date.now() + PATIENCE_MS;
    while (Atomics.compareExchange(word, 0, IDLE, ENDING) === RUNNING && Date.now() < deadline) {
      Atomics.wait(word, 0, RUNNING, deadline - Date.now());
    }
  };
  process.once('exit', onExit);
  return () => void process.off('exit', onExit);
}
