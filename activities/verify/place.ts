/**
 * @file The run that is checked, its objects read one by one, and where what is found goes.
 */
import { RefereeError } from '../../errors.ts';
import type { ObjectKey, RunId } from '../../store/layout.ts';
import type { ObjectStore } from '../../store/object-store.ts';
import { getUnlessDamaged } from '../../store/object-store.ts';
import type { Counts, FailedItem, Fault } from './report.ts';

export interface VerifyListeners {
  readonly onFault: (fault: Fault) => void;
  readonly onFailed: (item: FailedItem) => void;
  /** How many items were looked at so far, of how many. */
  readonly onProgress: (done: number, items: number) => void;
}

export class VerifyPlace {
  readonly store: ObjectStore;
  readonly run: RunId;
  readonly counts: Counts;
  readonly listeners: VerifyListeners;
  readonly signal: AbortSignal;

  constructor(of: Pick<VerifyPlace, 'store' | 'run' | 'counts' | 'listeners' | 'signal'>) {
    ({ store: this.store, run: this.run, counts: this.counts, listeners: this.listeners, signal: this.signal } = of);
  }

  fault(key: string, what: string): void {
    this.counts.faults += 1;
    this.listeners.onFault({ key, what });
  }

  /** The bytes of an object; a fault and undefined where it is not there or its bytes are not those that were put. */
  async read(key: ObjectKey): Promise<Uint8Array | undefined> {
    const bytes = await getUnlessDamaged(this.store, key);
    if (bytes === undefined) {
      this.fault(key, 'is missing');
      return undefined;
    }
    if ('damage' in bytes) {
      this.fault(key, bytes.damage);
      return undefined;
    }
    this.counts.files += 1;
    this.counts.bytes += bytes.length;
    return bytes;
  }

  /** Calls `faultOf` on an object, whose complaint is a fault of it. False where anything is wrong. */
  async checked(key: ObjectKey, faultOf: (bytes: Uint8Array) => string | undefined): Promise<boolean> {
    const bytes = await this.read(key);
    const fault = bytes && faultOf(bytes);
    if (fault !== undefined) this.fault(key, fault);
    return bytes !== undefined && fault === undefined;
  }

  /** @throws RefereeError Interrupted when the signal has fired */
  throwIfInterrupted(): void {
    if (this.signal.aborted)
      throw new RefereeError('Interrupted', `interrupted: run ${this.run} was not checked whole`);
  }
}
