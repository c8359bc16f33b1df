/**
 * @file Operators through which no gradient flows, and why. They end a path quietly: their derivative is zero wherever it
 * exists, or their results are no real numbers at all. An operator that is neither here nor in the table is an error.
 */

type Reason = 'integer result' | 'random numbers' | 'truth value' | 'piecewise constant' | 'depends on sizes only';

export const NON_DIFFERENTIABLE: ReadonlyMap<string, Reason> = new Map<string, Reason>([
  ['ArgMax', 'integer result'],
  ['ArgMin', 'integer result'],
  ['BitShift', 'integer result'],
  ['BitwiseAnd', 'integer result'],
  ['BitwiseOr', 'integer result'],
  ['BitwiseXor', 'integer result'],
  ['NonMaxSuppression', 'integer result'],
  ['NonZero', 'integer result'],
  ['Shape', 'integer result'],
  ['Size', 'integer result'],

  ['Bernoulli', 'random numbers'],
  ['Multinomial', 'random numbers'],
  ['RandomNormal', 'random numbers'],
  ['RandomNormalLike', 'random numbers'],
  ['RandomUniform', 'random numbers'],
  ['RandomUniformLike', 'random numbers'],

  ['And', 'truth value'],
  ['BitwiseNot', 'truth value'],
  ['Equal', 'truth value'],
  ['Greater', 'truth value'],
  ['GreaterOrEqual', 'truth value'],
  ['IsInf', 'truth value'],
  ['IsNaN', 'truth value'],
  ['Less', 'truth value'],
  ['LessOrEqual', 'truth value'],
  ['Not', 'truth value'],
  ['Or', 'truth value'],
  ['Xor', 'truth value'],

  ['Ceil', 'piecewise constant'],
  ['Floor', 'piecewise constant'],
  ['Hardmax', 'piecewise constant'],
  ['MelWeightMatrix', 'piecewise constant'],
  ['Round', 'piecewise constant'],
  ['Sign', 'piecewise constant'],

  ['Constant', 'depends on sizes only'],
  ['ConstantOfShape', 'depends on sizes only'],
  ['EyeLike', 'depends on sizes only'],
]);
