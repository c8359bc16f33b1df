/**
 * @file Loaded before a command (node --import refuse.ts?...): the models of sessions called `name` come with a piece that
 * onnxruntime refuses, see `refused-models.ts` for `how`. Several may be loaded.
 */
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { Worker } from 'node:worker_threads';

import type { Request } from '../../../models/runtime/protocol.ts';
import type { Refusal } from '../../support/refused-models.ts';
import { refusedModel } from '../../support/refused-models.ts';

const asked = new URL(import.meta.url).searchParams;
const name = asked.get('name');
const how = asked.get('how') as Refusal;
const file = asked.get('file') ?? join(tmpdir(), 'none');

type PostMessage = typeof Worker.prototype.postMessage;
// eslint-disable-next-line @typescript-eslint/unbound-method -- called with its thread below
const postMessage: PostMessage = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (this: Worker, message: Partial<Request> | null, transfer) {
  const { call } = message ?? {};
  if (call?.kind !== 'load' || call.name !== name) { postMessage.call(this, message, transfer); return; }
  postMessage.call(this, { ...message, call: { ...call, model: refusedModel(call.model, how, file) } });
} as PostMessage;
