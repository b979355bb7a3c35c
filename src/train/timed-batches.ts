import { addSpan } from "../runtime/index.js";

/** The same batches; a profile learns how long each was waited for. */
export async function* timedBatches<T>(batches: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  let from = performance.now();
  for await (const batch of batches) {
    addSpan("loader", from);
    yield batch;
    from = performance.now();
  }
}
