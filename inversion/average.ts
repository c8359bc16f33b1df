/** @file The moving average of the latent: smooths the noise of the steps, and now and then the latent restarts from it. */

/** `average` after the update of step k to `latent`: the latent itself at step 0, then d average + (1 - d) latent. */
export function movingAverage(average: Float32Array, latent: Float32Array, step: number, decay: number): Float32Array {
  if (step === 0) return latent.slice();
  return average.map((value, i) => decay * value + (1 - decay) * latent[i]!);
}
