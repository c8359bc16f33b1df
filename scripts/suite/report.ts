/**
 * @file What was found, as text: counts per version, then the cases that onnxruntime runs and we do not.
 */
import type { Outcome } from './outcome.ts';

export interface JudgedCase {
  readonly version: string;
  /** Group and case: "node/test_abs". */
  readonly name: string;
  readonly outcome: Outcome;
}

type Counted = (outcome: Outcome) => boolean;

const COLUMNS: readonly (readonly [string, Counted])[] = [
  ['cases', () => true],
  ['onnxruntime as recorded', ({ stock }) => stock.is === 'agrees'],
  ['of these read', isRun(({ read }) => read.is === 'read')],
  ['with axes and sizes as constants', isRun(({ isFixed }) => isFixed === true)],
  ['refused', isRun(({ read }) => read.is === 'refused')],
  ['outputs agree', isRun(({ outputs }) => outputs.is === 'agree')],
  ['outputs differ', isRun(({ outputs }) => outputs.is === 'differ')],
  ['gradient agrees', ({ gradient }) => gradient.is === 'agrees'],
  ['no rule', ({ gradient }) => gradient.is === 'refused'],
  ['unclear', ({ gradient }) => gradient.is === 'unclear'],
  ['differs', ({ gradient }) => gradient.is === 'differs'],
  ['nothing real', ({ gradient }) => gradient.is === 'none'],
  ['bugs', ({ read, gradient }) => read.is === 'bug' || gradient.is === 'bug'],
];

function isRun(counted: Counted): Counted {
  return (outcome) => outcome.stock.is === 'agrees' && counted(outcome);
}

export function reportOf(judged: readonly JudgedCase[]): { readonly text: string; readonly isWrong: boolean } {
  const versions = [...new Set(judged.map(({ version }) => version))];
  const rows = versions.map((version) => {
    const outcomes = judged.filter((one) => one.version === version).map(({ outcome }) => outcome);
    return [version, ...COLUMNS.map(([, counted]) => String(outcomes.filter(counted).length))];
  });
  const table = [['onnx', ...COLUMNS.map(([title]) => title)], ['---', ...COLUMNS.map(() => '---')], ...rows];
  const wrong = grouped(judged, ({ outputs, read, gradient }) => {
    if (read.is === 'bug') return `reader: ${read.why}`;
    if (outputs.is === 'differ') return `outputs: ${outputs.why}`;
    if (gradient.is === 'bug' || gradient.is === 'differs') return `gradient ${gradient.is}: ${gradient.why}`;
    return undefined;
  });
  const refused = grouped(judged, ({ stock, read }) =>
    stock.is === 'agrees' && read.is === 'refused' ? read.why?.replace(/^model: /, '') : undefined,
  );
  const without = grouped(judged, ({ gradient }) => (gradient.is === 'refused' ? gradient.why : undefined));
  const unclear = grouped(judged, ({ gradient }) => (gradient.is === 'unclear' ? gradient.why : undefined));
  const sections: readonly (readonly [string, readonly string[]])[] = [
    ['Wrong', wrong],
    ['Refused, though onnxruntime runs it as recorded', refused],
    ['No gradient', without],
    ['Unclear', unclear],
  ];
  const text = [
    ...table.map((cells) => `| ${cells.join(' | ')} |`),
    ...sections.flatMap(([title, lines]) => [
      '',
      `## ${title} (${lines.length})`,
      '',
      ...lines.map((line) => `- ${line}`),
    ]),
    '',
  ].join('\n');
  return { text, isWrong: wrong.length > 0 };
}

/** One line for a case in all versions that have it with the same finding. */
function grouped(judged: readonly JudgedCase[], finding: (outcome: Outcome) => string | undefined): string[] {
  const found = new Map<string, string[]>();
  for (const { version, name, outcome } of judged) {
    const why = finding(outcome);
    if (why === undefined) continue;
    const key = `${name}: ${why}`;
    found.set(key, [...(found.get(key) ?? []), version]);
  }
  return [...found].map(([line, versions]) => `${line} (${versions.join(', ')})`).sort();
}
