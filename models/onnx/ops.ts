/**
 * @file One function per operator: ONNX's names in camel case, ONNX's defaults in the signature, settings as plain
 * arguments even where ONNX passes them as inputs. Each appends a node and returns its (first) output.
 */
export * from './ops/elementwise.ts';
export * from './ops/indexing.ts';
export * from './ops/movement.ts';
export * from './ops/products.ts';
export * from './ops/reduction.ts';
export * from './ops/sampling.ts';
