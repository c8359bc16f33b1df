/**
 * @file What is found of one case of the suite.
 */

/** One line each where there is more to say than the word. */
export interface Verdict<Word extends string> {
  readonly is: Word;
  readonly why?: string;
}

export interface Outcome {
  /** onnxruntime on the untouched model: as recorded, otherwise, not at all; `unfed`: inputs that no tensor of ours holds. */
  readonly stock: Verdict<'agrees' | 'differs' | 'refuses' | 'unfed'>;
  /** Our reader. `bug`: an error that is not ours. */
  readonly read: Verdict<'read' | 'refused' | 'bug'>;
  /** What our reader, passes and writer made of it, in onnxruntime: only where `stock` agrees. */
  readonly outputs: Verdict<'agree' | 'differ' | 'skipped'>;
  /** Whether whole numbers among the inputs were made constants, since our reader wants to know them: axes, sizes. */
  readonly isFixed?: boolean;
  /** By all real inputs of all real outputs. `refused`: by name, in one line; `none`: nothing real goes in or comes out. */
  readonly gradient: Verdict<'agrees' | 'differs' | 'unclear' | 'refused' | 'bug' | 'none' | 'skipped'>;
}

/** Of a case that was not judged to its end. */
export function failed(why: string): Outcome {
  return {
    stock: { is: 'unfed' },
    read: { is: 'bug', why },
    outputs: { is: 'skipped' },
    gradient: { is: 'skipped' },
  };
}
