/** @file Errors of onnxruntime as one line: they come with line breaks, source locations and lists. */

const LONGEST = 400;

export function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const line = text
    // "/onnxruntime_src/…/file.cc:44 onnxruntime::f(const T&) condition was false. What happened"
    .replace(/\S*onnxruntime_src\S*\s.*?was false\.\s*/gs, '')
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/\.$/, '');
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 3)}...` : line;
}
