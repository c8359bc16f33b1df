/**
 * @file What `referee/autodiff` offers: gradients of ONNX graphs as ONNX graphs.
 */
export type { OutputCotangent, VjpOptions } from './differentiate.ts';
export { vjp, vjpOrZeros } from './differentiate.ts';
export type { GradientGraphOptions } from './gradient-graph.ts';
export { gradientGraph } from './gradient-graph.ts';
export type { GradOptions } from './grad.ts';
export { grad } from './grad.ts';
export type { MissingRule, MissingRulesOptions } from './missing-rules.ts';
export { missingRules } from './missing-rules.ts';
export { NON_DIFFERENTIABLE } from './non-differentiable.ts';
export { differentiableOperators } from './registry.ts';
export type { Contribution, Rule, RuleContext } from './rule.ts';
