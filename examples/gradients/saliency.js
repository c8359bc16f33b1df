// Which pixels decide? The gradient of one score by the picture, as a map.
//
//   node saliency.js classifier.onnx picture.png map.png
import { readFile } from 'node:fs/promises';
import { argv, stdout } from 'node:process';

import ort from 'onnxruntime-node';
import { readPicture, writePicture } from './picture.js';
import { grad } from 'referee/autodiff';

const [model, from, to] = argv.slice(2);
const [of, wrt] = ['save_infer_model/scale_0.tmp_1', 'x']; // `referee grad classifier.onnx --list` tells the names.
const session = await ort.InferenceSession.create(grad(await readFile(model), { of: [of], wrt: [wrt] }));

const { width, height, values } = await readPicture(from);
const plane = width * height;
const picture = new ort.Tensor('float32', values, [1, 3, height, width]);

/** The scores, and the gradient of the score of `label`. */
async function run(label) {
  const cotangent = new ort.Tensor(
    'float32',
    [0, 1].map((at) => Number(at === label)),
    [1, 2],
  );
  const results = await session.run({ [wrt]: picture, [`cotangent.${of}`]: cotangent });
  return { scores: results[of].data, gradient: results[`gradient.${wrt}`].data };
}

const { scores, gradient } = await run(0);
// Of a pixel: its three channels together. Shown as darkness, each pixel with its neighbours.
const weight = Float32Array.from({ length: plane }, (_, at) =>
  Math.hypot(...[0, 1, 2].map((c) => gradient[c * plane + at])),
);
const soft = weight.map((_, at) => {
  let sum = 0;
  for (let dy = -1; dy <= 1; dy += 1) for (let dx = -1; dx <= 1; dx += 1) sum += weight[at + dy * width + dx] ?? 0;
  return sum;
});
const most = Math.max(...soft);
const map = Float32Array.from({ length: 3 * plane }, (_, at) => 1 - (2 * soft[at % plane]) / most);
await writePicture(to, { width, height, values: map });
stdout.write(`upright ${scores[0].toFixed(4)}, upside down ${scores[1].toFixed(4)}: ${to}\n`);
