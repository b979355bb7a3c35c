// Kernel "pad": x, any strides -> x inside a constant; attrs [low, high of each dimension, first dimension first, value].
#include "convert.h"
#include "lines.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace padding {

constexpr int64_t kShortRow = 16;   // elements

// The steps of the input and the border, with dimensions merged that nothing pads and that x walks as one. A short last dimension that nothing pads and x
// walks another way is none of its own: then each place of the others is `inner` elements, `innerStride` apart in x.
struct Box {
  int rank = 0;
  int64_t size[kMaxRank], stride[kMaxRank], low[kMaxRank], high[kMaxRank], inner = 1, innerStride = 0;
  int64_t width() const { return low[rank - 1] + size[rank - 1] + high[rank - 1]; }
};

static bool bind(Box& box, const Step& step) {
  const View& x = step.in[0];
  const View& out = step.out[0];
  if (x.rank != out.rank || step.attrCount != 2 * x.rank + 1) return false;
  for (int d = 0; d < x.rank; d++) {
    int64_t low, high;
    if (!lines::attribute(step, 2 * d, 0, INT64_MAX >> 12, &low) || !lines::attribute(step, 2 * d + 1, 0, INT64_MAX >> 12, &high)) return false;
    if (out.shape[d] != low + x.shape[d] + high) return false;
    const int last = box.rank - 1;
    // Dimension d joins the one before it when it is not padded itself: the border of the one before then holds whole runs of d.
    if (last >= 0 && low == 0 && high == 0 && box.stride[last] == x.stride[d] * x.shape[d]) {
      box.size[last] *= x.shape[d], box.low[last] *= x.shape[d], box.high[last] *= x.shape[d];
      box.stride[last] = x.stride[d];
    } else {
      box.size[box.rank] = x.shape[d], box.stride[box.rank] = x.stride[d], box.low[box.rank] = low, box.high[box.rank] = high;
      box.rank++;
    }
  }
  if (box.rank == 0) box.rank = 1, box.size[0] = 1, box.stride[0] = 1, box.low[0] = box.high[0] = 0;
  const int last = box.rank - 1;
  if (last > 0 && box.size[last] > 0 && box.size[last] <= kShortRow && box.low[last] == 0 && box.high[last] == 0)
    box.inner = box.size[last], box.innerStride = box.stride[last], box.rank--;
  return true;
}

template <class T> static inline void fill(T* to, int64_t count, T value) {
  for (int64_t i = 0; i < count; i++) to[i] = value;
}

// Places from..to-1 of a row of the result. `row` is where the row of x begins, or NULL for a row of nothing but border.
template <class T> static inline void writeRow(const Box& box, T* out, int64_t from, int64_t to, const T* row, T value) {
  const int64_t size = box.size[box.rank - 1], stride = box.stride[box.rank - 1], low = box.low[box.rank - 1], inner = box.inner, innerStride = box.innerStride;
  if (!row) { fill(out + from * inner, (to - from) * inner, value); return; }
  const int64_t begin = lines::larger(from, low), end = lines::smaller(to, low + size);
  if (from < begin) fill(out + from * inner, (lines::smaller(begin, to) - from) * inner, value);
  if (begin < end) {
    const T* source = row + (begin - low) * stride;
    if (inner > 1) {
      for (T* place = out + begin * inner; place < out + end * inner; place += inner, source += stride)
        for (int64_t j = 0; j < inner; j++) place[j] = source[j * innerStride];
    } else if (stride == 1) memcpy(out + begin, source, size_t(end - begin) * sizeof(T));
    else for (int64_t i = 0; i < end - begin; i++) out[begin + i] = source[i * stride];
  }
  if (lines::larger(end, from) < to) fill(out + lines::larger(end, from) * inner, (to - lines::larger(end, from)) * inner, value);
}

// body(row number, offset of x's row in elements or -1, from, to) over all rows of the result, long ones in pieces.
template <class F>
static void eachRow(const Context& context, const Box& box, const F& body) {
  const int last = box.rank - 1;
  const int64_t width = box.width(), piece = (1 << 15) / box.inner, pieces = lines::ceilDiv(width, piece);
  int64_t rows = 1;
  for (int d = 0; d < last; d++) rows *= box.low[d] + box.size[d] + box.high[d];
  parallelFor(context, rows * pieces, lines::larger(1, piece / lines::larger(1, lines::smaller(width, piece))), [&](int64_t begin, int64_t end, int) {
    int64_t at[kMaxRank];
    int64_t rest = begin / pieces;
    for (int d = last - 1; d >= 0; d--) {
      const int64_t n = box.low[d] + box.size[d] + box.high[d];
      at[d] = rest % n;
      rest /= n;
    }
    for (int64_t item = begin; item < end; item++) {
      bool inside = true;
      int64_t offset = 0;
      for (int d = 0; d < last; d++) {
        const int64_t i = at[d] - box.low[d];
        inside &= i >= 0 && i < box.size[d];
        offset += i * box.stride[d];
      }
      const int64_t from = item % pieces * piece;
      body(item / pieces, inside, offset, from, lines::smaller(width, from + piece));
      if ((item + 1) % pieces == 0)
        for (int d = last - 1; d >= 0 && ++at[d] == box.low[d] + box.size[d] + box.high[d]; d--) at[d] = 0;
    }
  });
}

}  // namespace padding

static int runPad(const Step& step, const Context& context) {
  using namespace lines;
  padding::Box box;
  if (step.inCount != 1 || step.outCount != 1 || !packed(step.out[0]) || step.in[0].dtype != step.out[0].dtype || !padding::bind(box, step))
    return fail(context, "pad", "input, output and attributes do not fit");
  const View& x = step.in[0];
  const int last = box.rank - 1;
  const int64_t width = box.width();
  const double value = step.attrs[step.attrCount - 1];
  if (x.buffer == -2) {   // positions: made, not read
    int32_t* to = static_cast<int32_t*>(step.out[0].data);
    const int32_t border = int32_t(value);
    padding::eachRow(context, box, [&](int64_t row, bool inside, int64_t offset, int64_t from, int64_t end) {
      for (int64_t c = from; c < end; c++) {
        const int64_t i = c - box.low[last];
        const bool isBorder = !inside || i < 0 || i >= box.size[last];
        for (int64_t j = 0; j < box.inner; j++)
          to[(row * width + c) * box.inner + j] = isBorder ? border : int32_t(x.offset + offset + i * box.stride[last] + j * box.innerStride);
      }
    });
    return 0;
  }
  // The value in the bits of the output's dtype.
  const float number = float(value);
  const int32_t whole = value != value ? 0 : value >= 2147483647.0 ? INT32_MAX : value <= -2147483648.0 ? INT32_MIN : int32_t(value);
  uint64_t pattern = 0;
  if (x.dtype == DType::F64) memcpy(&pattern, &value, 8);
  else if (x.dtype == DType::I32 || x.dtype == DType::U8 || x.dtype == DType::Bool) storage::kStore[int(x.dtype)](&pattern, 1, 1, 1, 1, &whole);
  else storage::kStore[int(x.dtype)](&pattern, 1, 1, 1, 1, &number);
  byWidth(x.dtype, [&](auto element) {
    typedef decltype(element) T;
    const T* from = static_cast<const T*>(x.data);
    T* to = static_cast<T*>(step.out[0].data);
    T border;
    memcpy(&border, &pattern, sizeof border);
    padding::eachRow(context, box, [&](int64_t row, bool inside, int64_t offset, int64_t begin, int64_t end) {
      padding::writeRow(box, to + row * width * box.inner, begin, end, inside ? from + offset : nullptr, border);
    });
  });
  return 0;
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
