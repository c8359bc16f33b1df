/**
 * @file What `referee/onnx` exports: graphs as data, their builder and operators, checking, printing, files, passes.
 */
export { GraphBuilder } from './builder.ts';
export type { NamedNode, Weight } from './builder.ts';
export { checkGraph, graphProblems } from './check.ts';
export { DTYPES, elementCount, float32, int64, isFloat, scalar } from './dtype.ts';
export type { DType, Tensor, TypedArray } from './dtype.ts';
export { OPSET } from './graph.ts';
export type { Attribute, Attributes, ByteRange, Graph, Initializer, Node, Value } from './graph.ts';
export { knownOperators } from './infer.ts';
export * as op from './ops.ts';
export { shareCommonSubexpressions } from './passes/common-subexpressions.ts';
export { foldConstants } from './passes/constant-folding.ts';
export { dropDeadCode } from './passes/dead-code.ts';
export { foldTransposes } from './passes/fold-transposes.ts';
export { dropNoOperations } from './passes/no-operations.ts';
export { optimise } from './passes/optimise.ts';
export { printGraph } from './print.ts';
export { readModel, writeModel } from './protobuf.ts';
export type { ReadOptions, WriteOptions } from './protobuf.ts';
export type { Dim, Shape } from './shapes.ts';
