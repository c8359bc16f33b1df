/** @file Errors of onnxruntime as one line: they come with line breaks, source locations and lists. */

const LONGEST = 400;

export function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const line = text
    // "/onnxruntime_src/…/file.cc:44 onnxruntime::f(const T&) condition was false. What happened"
    .replace(/\S*onnxruntime_src\S*\s.*?was false\.\s*/gs, '')
    // "/onnxruntime_src/…/cuda_call.cc:154 R onnxruntime::CudaCall(…) [with E = cublasStatus_t; …] CUBLAS failure 3: what
    // happened ; GPU=0 ; hostname=… ; file=… ; line=… ; expr=…"
    .replace(/\S*cuda_call\.cc:\d+ .*?(?=\b(?:CUDA|CU[A-Z]+) (?:failure|error) -?\d+: )/gs, '')
    .replace(/ ; GPU=-?\d+ ; .*$/s, '')
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/\.$/, '');
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 3)}...` : line;
}
