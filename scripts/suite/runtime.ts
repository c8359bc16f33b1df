/**
 * @file onnxruntime as a package's user has it: sessions in this process, default options, seen as a `Device`.
 */
import { InferenceSession, env } from 'onnxruntime-node';

import type { Device, Session } from '../../models/runtime/device.ts';
import { fromOrt, toOrt } from '../../models/runtime/ort-tensors.ts';

/** Errors come as exceptions; nothing is printed as well. */
const LOG_FATAL = 4;

export async function load(model: Uint8Array): Promise<Session> {
  env.logLevel = 'fatal';
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: LOG_FATAL });
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    run: async (feeds, outputs = session.outputNames) => {
      const given = Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor)] as const);
      const values = await session.run(Object.fromEntries(given), [...outputs]);
      return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, fromOrt(value)]));
    },
    release: () => session.release(),
  };
}

/** For what asks for a device; sessions are released by whoever keeps `sessions`. */
export function inProcess(sessions: Session[]): Device {
  return {
    provider: 'cpu',
    threads: 1,
    load: async (model) => {
      const session = await load(model);
      sessions.push(session);
      return session;
    },
    stats: () => Promise.resolve({ sessions: {}, residentBytes: 0 }),
    close: () => Promise.resolve(),
  };
}
