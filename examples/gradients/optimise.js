// A picture that the classifier is sure of: the gradient of its score moves the pixels, step by step (Adam).
//
//   node optimise.js classifier.onnx start.png label picture.png [steps]
import { readFile } from 'node:fs/promises';
import { argv, stdout } from 'node:process';

import ort from 'onnxruntime-node';
import { readPicture, writePicture } from './picture.js';
import { grad } from 'referee/autodiff';

const [model, from, label, to, steps = '60'] = argv.slice(2);
const [of, wrt] = ['save_infer_model/scale_0.tmp_1', 'x'];
const session = await ort.InferenceSession.create(grad(await readFile(model), { of: [of], wrt: [wrt] }));

const { width, height, values } = await readPicture(from);
const start = values.slice();
const [mean, square] = [new Float64Array(values.length), new Float64Array(values.length)];
let score = 0;
for (let step = 1; step <= Number(steps); step += 1) {
  const picture = new ort.Tensor('float32', values, [1, 3, height, width]);
  const ask = (cotangent) =>
    session.run({ [wrt]: picture, [`cotangent.${of}`]: new ort.Tensor('float32', cotangent, [1, 2]) });
  score = (await ask([0, 0]))[of].data[Number(label)];
  // The gradient of the logarithm of the score: as strong where the score is still near zero.
  const cotangent = [0, 1].map((at) => (at === Number(label) ? 1 / Math.max(score, 1e-6) : 0));
  const gradient = (await ask(cotangent))[`gradient.${wrt}`].data;
  for (let at = 0; at < values.length; at += 1) {
    // Uphill, and a little back to where it started.
    const slope = gradient[at] - 1e-4 * (values[at] - start[at]);
    mean[at] = 0.9 * mean[at] + 0.1 * slope;
    square[at] = 0.99 * square[at] + 0.01 * slope * slope;
    const move = mean[at] / (1 - 0.9 ** step) / (Math.sqrt(square[at] / (1 - 0.99 ** step)) + 1e-8);
    values[at] = Math.max(-1, Math.min(1, values[at] + 0.02 * move));
  }
  if (step % 10 === 0) stdout.write(`step ${step}: score ${score.toFixed(4)}\n`);
}
await writePicture(to, { width, height, values });
