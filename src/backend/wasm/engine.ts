/** A module's memory, shared with the threads that run it. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
  grow(pages: number): number;
}

/** The part of JavaScript's WebAssembly that is used here; TypeScript declares it for browsers only. */
interface Engine {
  validate(bytes: Uint8Array): boolean;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: Readonly<Record<string, object>>) => { readonly exports: object };
  readonly Memory: new (size: { readonly initial: number; readonly maximum: number; readonly shared: true }) => SharedMemory;
  readonly RuntimeError: new () => Error;
}

export const engine = (globalThis as unknown as { readonly WebAssembly: Engine }).WebAssembly;
