/**
 * @file Loaded before a worker (node --import): on SIGUSR2 its device thread ends, as one does that the driver kills.
 */
import { Worker } from 'node:worker_threads';

const threads = new Set();
const { postMessage } = Worker.prototype;
Worker.prototype.postMessage = function (...message) {
  // Node has threads of its own.
  if (message[0]?.call !== undefined) threads.add(this);
  return postMessage.apply(this, message);
};
process.on('SIGUSR2', () => {
  for (const thread of threads) void thread.terminate();
});
