/**
 * @file Memory that a device thread keeps for the moment when there is none: onnxruntime's arena takes what is left before it
 * gives up, and V8, which cannot do without, would end the process instead of telling. The reserve is address space that is
 * never touched; where the system counts what is touched alone it costs nothing.
 */
const BYTES = 32 * 2 ** 20;

/** As Node 20 has it; the types of the language that we compile to do not. */
interface ResizableBuffer extends ArrayBuffer {
  resize(bytes: number): void;
}
type ResizableBufferConstructor = new (bytes: number, options: { readonly maxByteLength: number }) => ResizableBuffer;

export class Reserve {
  readonly #buffer = new (ArrayBuffer as unknown as ResizableBufferConstructor)(BYTES, { maxByteLength: BYTES });
  #bytes = BYTES;

  /** Gives it back to the system, at once: nothing waits for a collection of garbage. */
  release(): void {
    this.#buffer.resize(0);
    // The other half is left to V8: what the arena has taken it keeps.
    this.#bytes >>= 1;
  }

  /** Takes it again, or half of it after each release, where there is as much. */
  renew(): void {
    if (this.#buffer.byteLength > 0) return;
    try {
      this.#buffer.resize(this.#bytes);
    } catch {
      // Memory is short still, and its next end may be the process's.
    }
  }
}
