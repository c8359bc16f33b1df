/**
 * @file Loaded before a worker (node --import): after SIGUSR2 its device thread ends instead of taking its next call, as one
 * does that the driver kills. In the middle of a call the whole process might end with it.
 */
import { Worker } from 'node:worker_threads';

let isLost = false;
const { postMessage } = Worker.prototype;
Worker.prototype.postMessage = function (...message) {
  // Node has threads of its own.
  if (isLost && message[0]?.call !== undefined) void this.terminate();
  else postMessage.apply(this, message);
};
process.on('SIGUSR2', () => {
  isLost = true;
});
