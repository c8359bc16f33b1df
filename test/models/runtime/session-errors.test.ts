import { describe, expect, test } from 'vitest';

import { isOutOfMemory, sessionError } from '../../../models/runtime/session-errors.ts';

/** As onnxruntime 1.30 with CUDA 13 words it. */
const cudaText = (failure: string): string =>
  "Non-zero status code returned while running FusedConv node. Name:'decoder/conv_in' Status Message: " +
  '/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 std::conditional_t<THRW, void, onnxruntime::common::Status> ' +
  'onnxruntime::CudaCall(ERRTYPE, const char*, const char*, SUCCTYPE, const char*, const char*, int) [with ERRTYPE = ' +
  'cublasStatus_t; bool THRW = true; SUCCTYPE = cublasStatus_t; std::conditional_t<THRW, void, onnxruntime::common::Status> = ' +
  '__std_conditional_t<true, void, onnxruntime::common::Status>] ' +
  '/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:146 std::conditional_t<THRW, void, onnxruntime::common::Status> ' +
  'onnxruntime::CudaCall(ERRTYPE, const char*, const char*, SUCCTYPE, const char*, const char*, int) [with ERRTYPE = ' +
  `cublasStatus_t; bool THRW = true; SUCCTYPE = cublasStatus_t] ${failure} ; GPU=0 ; hostname=somewhere ; ` +
  'file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_stream_handle.cc ; line=66 ; expr=cublasCreate(&cublas_handle_); ';

const PLACE = { session: 'alignment', provider: 'cuda', during: 'run' } as const;

describe('a library of CUDA', () => {
  test.each([
    'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED',
    'CUBLAS failure 1: CUBLAS_STATUS_NOT_INITIALIZED',
    'CUDNN failure 1001: CUDNN_STATUS_NOT_INITIALIZED',
    'CUDA failure 2: out of memory',
  ])('without memory: %s', (failure) => {
    const cause = new Error(cudaText(failure));
    expect(isOutOfMemory(cause)).toBe(true);
    expect(sessionError(cause, PLACE)).toMatchObject({
      code: 'OutOfMemory',
      message: 'session "alignment" fails to run on cuda: out of memory at node "decoder/conv_in" (FusedConv)',
    });
  });

  test('that fails otherwise is told by its own words alone', () => {
    const cause = new Error(cudaText('CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED'));
    expect(sessionError(cause, PLACE)).toMatchObject({
      code: 'InvalidModel',
      message:
        'session "alignment" fails to run on cuda: node "decoder/conv_in" (FusedConv): CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED',
      hint: 'with --provider cpu the model shows whether it is sound',
    });
  });
});
