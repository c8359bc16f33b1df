/**
 * @file Activations under the names that configs use.
 */
import { RefereeError, quoted } from '../../errors.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';

export type Activation = (b: GraphBuilder, x: Value) => Value;

/** x sigmoid(x) */
export const silu: Activation = (b, x) => op.mul(b, x, op.sigmoid(b, x));
/** x Phi(x), exactly. */
export const gelu: Activation = (b, x) => op.gelu(b, x);
/** Hendrycks and Gimpel's approximation of gelu by tanh, arXiv 1606.08415. */
export const geluTanh: Activation = (b, x) => op.gelu(b, x, { approximate: 'tanh' });
/** x sigmoid(1.702 x), the approximation that the published CLIP models were trained with. */
export const quickGelu: Activation = (b, x) => op.mul(b, x, op.sigmoid(b, op.mulScalar(b, x, 1.702)));
/** x tanh(log(1 + e^x)), arXiv 1908.08681. */
export const mish: Activation = (b, x) => op.mul(b, x, op.tanh(b, op.softplus(b, x)));

const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  silu,
  swish: silu,
  gelu,
  gelu_new: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_fast: geluTanh,
  quick_gelu: quickGelu,
  relu: op.relu,
  mish,
};

/** Names that `activation` knows. */
export const ACTIVATION_NAMES: readonly string[] = Object.keys(ACTIVATIONS);

/** The activation that a config calls `name`. */
export function activation(name: string): Activation {
  const found = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
  if (found) return found;
  throw new RefereeError(
    'InvalidModel',
    `activation ${quoted(name)} is not supported, expected one of ${ACTIVATION_NAMES.join(', ')}`,
  );
}
