/**
 * @file Loaded before a command (node --import refuse.mjs?...): the models of sessions called `name` come with a piece that
 * onnxruntime refuses, see `refused-models.ts` for `how`; `file` for a weight that is too large. Several may be loaded.
 */
import { isMainThread, Worker } from 'node:worker_threads';

// Threads of other libraries load it too, without what reads TypeScript.
if (isMainThread) {
  const { refusedModel } = await import('../../support/refused-models.ts');
  const asked = new URL(import.meta.url).searchParams;
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function (...message) {
    const { call } = message[0] ?? {};
    if (call?.kind === 'load' && call.options.name === asked.get('name')) {
      const model = refusedModel(call.model, asked.get('how'), asked.get('file'));
      postMessage.call(this, { ...message[0], call: { ...call, model } });
    } else postMessage.apply(this, message);
  };
}
