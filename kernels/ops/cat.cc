// Kernel "cat": any number of inputs with any strides -> joined along a dimension; attrs [dim].
#include "lines.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace joining {

// A strided box and where it goes in the packed result; dimensions that both walk as one are merged.
struct Copy {
  int rank = 0;
  int64_t size[kMaxRank], from[kMaxRank], to[kMaxRank];
};

static void bind(Copy& copy, const View& x, const View& out) {
  int64_t step[kMaxRank], stride = 1;
  for (int d = out.rank - 1; d >= 0; d--) {
    step[d] = stride;
    stride *= out.shape[d];
  }
  for (int d = 0; d < x.rank; d++) {
    if (x.shape[d] == 1) continue;
    const int last = copy.rank - 1;
    if (last >= 0 && copy.from[last] == x.stride[d] * x.shape[d] && copy.to[last] == step[d] * x.shape[d]) {
      copy.size[last] *= x.shape[d];
      copy.from[last] = x.stride[d], copy.to[last] = step[d];
    } else {
      copy.size[copy.rank] = x.shape[d], copy.from[copy.rank] = x.stride[d], copy.to[copy.rank] = step[d];
      copy.rank++;
    }
  }
  if (copy.rank == 0) copy.rank = 1, copy.size[0] = copy.from[0] = copy.to[0] = 1;
}

// body(offset in x, offset in the result, count) over all runs along the last dimension, long ones in pieces.
template <class F>
static void eachRun(const Context& context, const Copy& copy, const F& body) {
  const int last = copy.rank - 1;
  const int64_t width = copy.size[last], piece = 1 << 15, task = 1 << 13, pieces = lines::ceilDiv(width, piece);
  int64_t rows = 1;
  for (int d = 0; d < last; d++) rows *= copy.size[d];
  parallelFor(context, rows * pieces, lines::larger(1, task / lines::larger(1, width)), [&](int64_t begin, int64_t end, int) {
    int64_t at[kMaxRank], rest = begin / pieces, from = 0, to = 0;
    for (int d = last - 1; d >= 0; d--) {
      at[d] = rest % copy.size[d];
      rest /= copy.size[d];
      from += at[d] * copy.from[d];
      to += at[d] * copy.to[d];
    }
    for (int64_t item = begin; item < end; item++) {
      const int64_t start = item % pieces * piece;
      body(from + start * copy.from[last], to + start * copy.to[last], lines::smaller(piece, width - start));
      if ((item + 1) % pieces) continue;
      for (int d = last - 1; d >= 0; d--) {
        from += copy.from[d];
        to += copy.to[d];
        if (++at[d] < copy.size[d]) break;
        from -= copy.from[d] * copy.size[d];
        to -= copy.to[d] * copy.size[d];
        at[d] = 0;
      }
    }
  });
}

}  // namespace joining

static int runCat(const Step& step, const Context& context) {
  using namespace lines;
  int64_t dim;
  if (step.inCount < 1 || step.outCount != 1 || !packed(step.out[0]) || !attribute(step, 0, 0, step.out[0].rank - 1, &dim))
    return fail(context, "cat", "inputs, output and attributes do not fit");
  const View& out = step.out[0];
  int64_t total = 0;
  for (int i = 0; i < step.inCount; i++) {
    if (step.in[i].dtype != out.dtype || !sameSizes(step.in[i], out, int(dim))) return fail(context, "cat", "an input does not fit the output");
    total += step.in[i].shape[dim];
  }
  if (total != out.shape[dim]) return fail(context, "cat", "the inputs do not fill the output");
  const int64_t inner = linesOf(out, int(dim)).inner;
  int64_t start = 0;
  for (int i = 0; i < step.inCount; i++) {
    const View& x = step.in[i];
    joining::Copy copy;
    joining::bind(copy, x, out);
    const int last = copy.rank - 1;
    if (sizeOf(x) > 0)
      byWidth(out.dtype, [&](auto element) {
        typedef decltype(element) T;
        T* result = static_cast<T*>(out.data) + start * inner;
        const T* source = static_cast<const T*>(x.data);
        const int64_t fromStep = copy.from[last], toStep = copy.to[last];
        joining::eachRun(context, copy, [&](int64_t from, int64_t to, int64_t count) {
          if (x.buffer == -2)   // positions: made, not read
            for (int64_t c = 0; c < count; c++) result[to + c * toStep] = T(x.offset + from + c * fromStep);
          else if (fromStep == 1 && toStep == 1) memcpy(result + to, source + from, size_t(count) * sizeof(T));
          else
            for (int64_t c = 0; c < count; c++) result[to + c * toStep] = source[from + c * fromStep];
        });
      });
    start += x.shape[dim];
  }
  return 0;
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
