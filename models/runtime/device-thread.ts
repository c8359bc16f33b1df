/**
 * @file Body of the device thread. onnxruntime's run blocks the thread that calls it, behind its promise
 * (microsoft/onnxruntime #19611), so every session lives here and the main thread's event loop stays free.
 * Calls are answered strictly in order: a session is never released under a run.
 */
import { parentPort, workerData, type MessagePort, type Transferable } from 'node:worker_threads';

import { InferenceSession, env, type OnnxValue } from 'onnxruntime-node';

import { assertNever, isRefereeError, quoted, RefereeError } from '../../errors.ts';
import type { DType } from '../onnx/dtype.ts';
import type { ProviderName } from './device.ts';
import { guarded } from './exit-guard.ts';
import { oneLine } from './one-line.ts';
import { fromOrt, toOrt } from './ort-tensors.ts';
import { Profiles } from './profiles.ts';
import type {
  Answers,
  DeviceCall,
  DeviceSettings,
  ErrorData,
  Reply,
  Request,
  ThreadData,
  ValueMetadata,
} from './protocol.ts';
import { chooseProvider } from './providers.ts';
import { isOutOfMemory, sessionError } from './session-errors.ts';
import { Reserve } from './reserve.ts';
import { sessionOptions } from './session-settings.ts';

interface Loaded {
  readonly name: string;
  readonly session: InferenceSession;
}

interface DeviceState {
  readonly settings: DeviceSettings;
  readonly provider: ProviderName;
  readonly sessions: Map<number, Loaded>;
  loaded: number;
  /** Until they are asked for. */
  profiles: Profiles | undefined;
  readonly reserve: Reserve;
}

if (parentPort !== null) await serve(parentPort, workerData as ThreadData);

async function serve(port: MessagePort, { settings, guard }: ThreadData): Promise<void> {
  env.logLevel = 'fatal';
  const reply = (message: Reply, transfer: Transferable[] = []): void => port.postMessage(message, transfer);
  let state: DeviceState;
  try {
    const { provider, notes } = await guarded(guard, () => chooseProvider(settings));
    const profiles = settings.isProfiled === true ? await Profiles.open() : undefined;
    state = { settings, provider, sessions: new Map(), loaded: 0, profiles, reserve: new Reserve() };
    reply({ kind: 'ready', provider, notes });
  } catch (error) {
    reply({ kind: 'failed', error: errorData(error) });
    return;
  }
  let last = Promise.resolve();
  port.on('message', ({ id, call }: Request) => {
    last = last.then(async () => {
      try {
        const { answer, transfer } = await guarded(guard, () => answerCall(state, call));
        reply({ kind: 'answer', id, answer }, transfer);
      } catch (error) {
        reply({ kind: 'error', id, error: errorData(error) });
      }
      if (call.kind === 'close') port.close();
    });
  });
}

interface Answer {
  readonly answer: Answers[keyof Answers];
  readonly transfer?: Transferable[];
}

async function answerCall(state: DeviceState, call: DeviceCall): Promise<Answer> {
  state.reserve.renew();
  switch (call.kind) {
    case 'load':
      return { answer: await load(state, call) };
    case 'run':
      return run(state, call);
    case 'release':
      await release(state, call.session);
      return { answer: null };
    case 'placement':
      return { answer: await placement(state) };
    case 'close':
      // Sessions outlive the thread that made them, and end badly, unless they are released in it.
      for (const session of [...state.sessions.keys()]) await release(state, session);
      await state.profiles?.remove();
      return { answer: null };
    default:
      return assertNever(call);
  }
}

async function load(
  state: DeviceState,
  { model, options: asked }: Extract<DeviceCall, { kind: 'load' }>,
): Promise<Answers['load']> {
  const start = performance.now();
  const { provider, settings, profiles } = state;
  const { name, weightsRoot } = asked;
  const options = sessionOptions({
    ...settings,
    ...asked,
    provider,
    ...(profiles && { profile: profiles.prefix(state.loaded + 1) }),
  });
  let session: InferenceSession;
  try {
    session = await InferenceSession.create(model, options);
  } catch (error) {
    state.reserve.release();
    if (weightsRoot === undefined && oneLine(error).includes('External data')) {
      throw new RefereeError(
        'InvalidModel',
        `session ${quoted(name)} points to data outside itself, which this model may not`,
      );
    }
    throw sessionError(error, { session: name, provider, during: 'load' });
  }
  try {
    const inputs = session.inputMetadata.map((value) => valueMetadata(name, value));
    const outputs = session.outputMetadata.map((value) => valueMetadata(name, value));
    state.loaded += 1;
    state.sessions.set(state.loaded, { name, session });
    return { session: state.loaded, inputs, outputs, seconds: secondsSince(start) };
  } catch (error) {
    await session.release();
    throw error;
  }
}

async function run(state: DeviceState, call: Extract<DeviceCall, { kind: 'run' }>): Promise<Answer> {
  const { name, session } = find(state, call.session);
  const feeds = Object.fromEntries(Object.entries(call.feeds).map(([input, tensor]) => [input, toOrt(tensor)]));
  const start = performance.now();
  let values: Readonly<Record<string, OnnxValue>>;
  try {
    values = await session.run(feeds, [...call.outputs]);
  } catch (error) {
    state.reserve.release();
    throw sessionError(error, { session: name, provider: state.provider, during: 'run' });
  }
  const seconds = secondsSince(start);
  const outputs = Object.fromEntries(Object.entries(values).map(([output, value]) => [output, fromOrt(value)]));
  const transfer = [...new Set(Object.values(outputs).map(({ data }) => data.buffer as ArrayBuffer))];
  return { answer: { outputs, seconds }, transfer };
}

async function placement(state: DeviceState): Promise<Answers['placement']> {
  const { profiles, sessions } = state;
  if (profiles === undefined) throw new RefereeError('Internal', 'this device keeps no profile, or was asked before');
  state.profiles = undefined;
  return profiles.end(sessions);
}

async function release(state: DeviceState, id: number): Promise<void> {
  const loaded = state.sessions.get(id);
  state.sessions.delete(id);
  await loaded?.session.release();
}

function find(state: DeviceState, id: number): Loaded {
  const loaded = state.sessions.get(id);
  if (loaded === undefined) throw new RefereeError('Internal', `session number ${id} was released before this run`);
  return loaded;
}

function valueMetadata(session: string, value: InferenceSession.ValueMetadata): ValueMetadata {
  if (!value.isTensor) {
    throw new RefereeError('InvalidModel', `session ${quoted(session)}: ${quoted(value.name)} is not a tensor`);
  }
  // Exporters write "?" and the like for sizes that have nothing to do with each other.
  const shape = value.shape.map((dim) => (typeof dim === 'string' && !/\p{L}/u.test(dim) ? '' : dim));
  return { name: value.name, dtype: value.type as DType, shape };
}

function errorData(error: unknown): ErrorData {
  if (!isRefereeError(error)) {
    return { code: isOutOfMemory(error) ? 'OutOfMemory' : 'Internal', message: `device thread: ${oneLine(error)}` };
  }
  const { code, message, hint, details } = error;
  return { code, message, details, ...(hint !== undefined && { hint }) };
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
