// Kernel "map": a fused program of element-wise instructions over any strided views.
#include "../core/kernel.h"
#include "program.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace map {

constexpr int64_t kBlockElements = 8192;   // at most, for one claim of a worker: enough to hide the claim, few enough to share small arrays

static inline int64_t pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }

}  // namespace map

static int runMap(const Step& step, const Context& context) {
  Binding b;
  if (!bindProgram(b, step.program, step.in, step.inCount, step.out, step.outCount, context)) return 1;
  if (b.rows == 0 || b.cols == 0) return 0;
  // Blocks are whole tiles wide, and as many rows high as fill them. With transposed views a block is one tile high.
  const int64_t most = b.transposed ? map::kBlockElements / (b.tileLength / b.tileCols) : map::kBlockElements;
  const int64_t across = map::pieces(b.cols, most), width = across == 1 ? b.cols : (map::pieces(b.cols, across) + 63) / 64 * 64;   // even shares, no small last one
  const int64_t height = width < map::kBlockElements ? map::kBlockElements / width : 1;
  const int64_t down = map::pieces(b.rows, height);
  bool failed = false;
  parallelFor(context, down * across, 1, [&](int64_t begin, int64_t end, int worker) {
    void* const memory = context.scratch(context.pool, worker, uint64_t(b.memoryBytes));
    if (!memory) {
      __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
      return;
    }
    ProgramRunner runner(b, memory);
    for (int64_t i = begin; i < end; i++) {
      const int64_t row = i / across * height, col = i % across * width;
      runner.run(row, b.rows - row < height ? b.rows - row : height, col, b.cols - col < width ? b.cols - col : width);
    }
    fenceStream();
  });
  return failed ? !bind::say(context, "map: no memory for the registers") : 0;
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
