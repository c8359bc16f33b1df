/**
 * @file A device that remembers what each of its sessions was last fed: the inputs of a real step, to be given to others.
 */
import type { Tensor } from '../../models/onnx/dtype.ts';
import type { Device } from '../../models/runtime/device.ts';

export interface RecordingDevice extends Device {
  /** The last feeds by session name. */
  readonly feeds: ReadonlyMap<string, Readonly<Record<string, Tensor>>>;
}

/** Everything goes to `device`, which the caller closes. */
export function recordingDevice(device: Device): RecordingDevice {
  const feeds = new Map<string, Readonly<Record<string, Tensor>>>();
  return {
    feeds,
    provider: device.provider,
    threads: device.threads,
    stats: () => device.stats(),
    close: () => device.close(),
    load: async (model, options) => {
      const session = await device.load(model, options);
      return {
        inputNames: session.inputNames,
        outputNames: session.outputNames,
        release: () => session.release(),
        run: (given, outputs) => {
          feeds.set(options.name, given);
          return session.run(given, outputs);
        },
      };
    },
  };
}
