// Kernels that pick elements by index, and their transposes that add them back.
// gather: x, index -> out like index; attrs [dim]. scatter, scatterAdd: x, index, src -> out like x; attrs [dim].
// indexSelect, embedding: x, index of any shape -> whole slices; attrs [dim]. indexAdd: slices, index -> zeros plus the slices; attrs [dim, size, skip].
// oneHot: labels -> [..., classes] i32; attrs [classes]. Everything is packed; indices are i32. Elements are only moved (any dtype) or added (f32, f64, i32).
#include "along.h"

namespace graft {
namespace GRAFT_ISA_NS {

static int runGather(const Step& step, const Context& context) {
  using namespace lines;
  int64_t dim;
  along::Walk walk;
  if (!shaped(step, 2, 1) || !attribute(step, 0, 0, step.in[0].rank - 1, &dim) || !along::bind(walk, step.in[0], step.in[1], dim) ||
      step.out[0].dtype != step.in[0].dtype || !sameSizes(step.out[0], step.in[1]))
    return fail(context, "gather", "inputs, output and attributes do not fit");
  const View &x = step.in[0], &index = step.in[1];
  if (!checkIndices(context, "gather", index, x.shape[dim])) return 1;
  byWidth(x.dtype, [&](auto element) {
    typedef decltype(element) T;
    const T* from = static_cast<const T*>(x.data);
    T* to = static_cast<T*>(step.out[0].data);
    along::each(context, walk, static_cast<const int32_t*>(index.data), x.shape[dim], true, [&](int64_t position, int64_t place) { to[position] = from[place]; });
  });
  return 0;
}

static int scatterWith(const char* name, bool add, const Step& step, const Context& context) {
  using namespace lines;
  int64_t dim;
  along::Walk walk;
  if (!shaped(step, 3, 1) || !attribute(step, 0, 0, step.in[0].rank - 1, &dim) || !along::bind(walk, step.in[0], step.in[1], dim) ||
      step.out[0].dtype != step.in[0].dtype || step.in[2].dtype != step.in[0].dtype || !sameSizes(step.out[0], step.in[0]) || !sameSizes(step.in[2], step.in[1]))
    return fail(context, name, "inputs, output and attributes do not fit");
  const View &x = step.in[0], &index = step.in[1], &source = step.in[2];
  if (!checkIndices(context, name, index, x.shape[dim])) return 1;
  copyParallel(context, step.out[0].data, x.data, sizeOf(x) * bytesOf(x.dtype));
  const int32_t* indices = static_cast<const int32_t*>(index.data);
  if (!add) {
    byWidth(x.dtype, [&](auto element) {
      typedef decltype(element) T;
      const T* from = static_cast<const T*>(source.data);
      T* to = static_cast<T*>(step.out[0].data);
      along::each(context, walk, indices, x.shape[dim], false, [&](int64_t position, int64_t place) { to[place] = from[position]; });
    });
    return 0;
  }
  const bool known = byNumber(x.dtype, [&](auto element) {
    typedef decltype(element) T;
    const T* from = static_cast<const T*>(source.data);
    T* to = static_cast<T*>(step.out[0].data);
    along::each(context, walk, indices, x.shape[dim], false, [&](int64_t position, int64_t place) { addTo(to[place], from[position]); });
  });
  return known ? 0 : fail(context, name, "only f32, f64 and i32 can be added");
}
static int runScatter(const Step& step, const Context& context) { return scatterWith("scatter", false, step, context); }
static int runScatterAdd(const Step& step, const Context& context) { return scatterWith("scatterAdd", true, step, context); }

constexpr int64_t kFarFrom = 256, kMostAhead = 4096;   // bytes of a slice

static int takeSlices(const char* name, const Step& step, const Context& context) {
  using namespace lines;
  int64_t dim;
  if (!shaped(step, 2, 1) || !attribute(step, 0, 0, step.in[0].rank - 1, &dim) || step.in[1].dtype != DType::I32 || step.out[0].dtype != step.in[0].dtype)
    return fail(context, name, "inputs, output and attributes do not fit");
  const View &x = step.in[0], &index = step.in[1];
  const Lines l = linesOf(x, int(dim));
  const int64_t count = sizeOf(index), bytes = l.inner * bytesOf(x.dtype);
  if (sizeOf(step.out[0]) != l.outer * count * l.inner) return fail(context, name, "the output has another size than the slices");
  if (!checkIndices(context, name, index, l.size)) return 1;
  const int32_t* indices = static_cast<const int32_t*>(index.data);
  const char* from = static_cast<const char*>(x.data);
  char* to = static_cast<char*>(step.out[0].data);
  if (l.inner == 1) {   // single elements
    const int64_t piece = 8192, pieces = ceilDiv(count, piece);
    byWidth(x.dtype, [&](auto element) {
      typedef decltype(element) T;
      parallelFor(context, l.outer * pieces, larger(1, piece / larger(smaller(piece, count), 1)), [&](int64_t begin, int64_t end, int) {
        for (int64_t item = begin; item < end; item++) {
          const int64_t o = item / pieces, low = item % pieces * piece, high = smaller(count, low + piece);
          const T* const line = static_cast<const T*>(x.data) + o * l.size;
          T* const result = static_cast<T*>(step.out[0].data) + o * count;
          for (int64_t k = low; k < high; k++) result[k] = line[indices[k]];
        }
      });
    });
    return 0;
  }
  const bool stream = mayStream(to, l.outer * count, bytes);
  parallelFor(context, l.outer * count, larger(1, 32768 / larger(bytes, 8)), [&](int64_t begin, int64_t end, int) {
    int64_t o = begin / count, k = begin % count;
    for (int64_t row = begin; row < end; row++) {
      const char* slice = from + (o * l.size + indices[k]) * bytes;
      if (++k == count) k = 0, o++;
      if (bytes >= kFarFrom && row + 1 < end) {   // the next slice lies anywhere: it is on its way while this one is copied
        const char* next = from + (o * l.size + indices[k]) * bytes;
        for (int64_t at = 0; at < smaller(bytes, kMostAhead); at += 64) __builtin_prefetch(next + at);
      }
      if (stream) copyBytes<true>(to + row * bytes, slice, bytes);
      else copyBytes<false>(to + row * bytes, slice, bytes);
    }
    fenceStream();
  });
  return 0;
}
static int runIndexSelect(const Step& step, const Context& context) { return takeSlices("indexSelect", step, context); }
static int runEmbedding(const Step& step, const Context& context) { return takeSlices("embedding", step, context); }

namespace indexadd {

constexpr int64_t kNarrow = 8;   // columns

template <class T> struct Sum { typedef double type; };
template <> struct Sum<int32_t> { typedef uint32_t type; };

// Columns low..high-1 of one row of the result: the sum of the slices order[0..count-1].
template <class T, bool kStream>
static void addRow(T* to, const T* slices, int64_t inner, const int32_t* order, int64_t count, int64_t low, int64_t high) {
  if (count == 1 && high - low == 1) return void(to[low] = slices[order[0] * inner + low]);
  char* const bytes = reinterpret_cast<char*>(to + low);
  if (count == 0) return lines::clearBytes<kStream>(bytes, (high - low) * int64_t(sizeof(T)));
  if (count == 1) return lines::copyBytes<kStream>(bytes, reinterpret_cast<const char*>(slices + order[0] * inner + low), (high - low) * int64_t(sizeof(T)));
  // Many slices on one row are added in double, so that a frequent token's gradient does not lose digits.
  if (high - low <= kNarrow) {
    for (int64_t c = low; c < high; c++) {
      typename Sum<T>::type sum = 0;
      for (int64_t k = 0; k < count; k++) sum += static_cast<typename Sum<T>::type>(slices[order[k] * inner + c]);
      to[c] = T(sum);
    }
    return;
  }
  constexpr int64_t kColumns = 64;
  for (int64_t c = low; c < high; c += kColumns) {
    typename Sum<T>::type sum[kColumns] = {};
    const int64_t width = lines::smaller(kColumns, high - c);
    for (int64_t k = 0; k < count; k++) {
      const T* slice = slices + order[k] * inner + c;
      if (width == kColumns)
        for (int64_t i = 0; i < kColumns; i++) sum[i] += static_cast<typename Sum<T>::type>(slice[i]);
      else
        for (int64_t i = 0; i < width; i++) sum[i] += static_cast<typename Sum<T>::type>(slice[i]);
    }
    for (int64_t i = 0; i < width; i++) to[c + i] = T(sum[i]);
  }
}

// Single elements, a line of the result at a time: added where their index says, in the order of the index. False where there is no memory.
template <class T> static bool addElements(const Context& context, const T* x, const int32_t* index, int64_t skip, T* to, int64_t outer, int64_t count, int64_t size) {
  bool failed = false;
  parallelFor(context, outer, lines::larger(1, 8192 / lines::larger(count + size, 1)), [&](int64_t begin, int64_t end, int worker) {
    typedef typename Sum<T>::type Wide;
    Wide* const sum = static_cast<Wide*>(context.scratch(context.pool, worker, uint64_t(size) * sizeof(Wide)));
    if (!sum) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
    for (int64_t o = begin; o < end; o++) {
      memset(sum, 0, size_t(size) * sizeof(Wide));
      for (int64_t k = 0; k < count; k++)
        if (index[k] != skip) sum[index[k]] += static_cast<Wide>(x[o * count + k]);
      for (int64_t r = 0; r < size; r++) to[o * size + r] = T(sum[r]);
    }
  });
  return !failed;
}

}  // namespace indexadd

static int runIndexAdd(const Step& step, const Context& context) {
  using namespace lines;
  int64_t dim, size, skip;
  if (!shaped(step, 2, 1) || !attribute(step, 0, 0, step.out[0].rank - 1, &dim) || !attribute(step, 1, 0, INT32_MAX, &size) || !attribute(step, 2, -1, INT32_MAX, &skip) ||
      step.in[1].dtype != DType::I32 || step.out[0].dtype != step.in[0].dtype || step.out[0].shape[dim] != size)
    return fail(context, "indexAdd", "inputs, output and attributes do not fit");
  const View &x = step.in[0], &index = step.in[1];
  const Lines l = linesOf(step.out[0], int(dim));
  const int64_t count = sizeOf(index);
  if (sizeOf(x) != l.outer * count * l.inner || count > INT32_MAX) return fail(context, "indexAdd", "the slices have another size than the output");
  if (!checkIndices(context, "indexAdd", index, size)) return 1;
  constexpr int64_t kLines = 16, kLongest = 1 << 14;   // a line's sums stay in a cache near the core
  if (l.inner == 1 && l.outer >= kLines && size <= kLongest && size > 0) {
    bool done = true;
    const bool known = byNumber(x.dtype, [&](auto element) {
      typedef decltype(element) T;
      done = indexadd::addElements(context, static_cast<const T*>(x.data), static_cast<const int32_t*>(index.data), skip, static_cast<T*>(step.out[0].data), l.outer, count, size);
    });
    return known && done ? 0 : fail(context, "indexAdd", known ? "no working memory for a line of sums" : "only f32, f64 and i32 can be added");
  }
  // A stable counting sort of the slices by their row: then each row of the result is written once, its slices added in the order of the index.
  const int32_t* indices = static_cast<const int32_t*>(index.data);
  int32_t* start = static_cast<int32_t*>(context.scratch(context.pool, 0, uint64_t(size + 2 + count) * 4));
  if (!start) return fail(context, "indexAdd", "no working memory to sort the indices");
  int32_t* order = start + size + 2;
  memset(start, 0, size_t(size + 2) * 4);
  for (int64_t k = 0; k < count; k++) if (indices[k] != skip) start[indices[k] + 2]++;
  for (int64_t r = 2; r < size + 2; r++) start[r] += start[r - 1];
  for (int64_t k = 0; k < count; k++) if (indices[k] != skip) order[start[indices[k] + 1]++] = int32_t(k);   // afterwards row r is start[r]..start[r + 1]
  // Few rows are cut into columns, so that there is work for several threads.
  const int64_t width = size * l.outer >= 64 ? larger(l.inner, 1) : larger(64, ceilDiv(l.inner, 64) * 4);
  const int64_t pieces = ceilDiv(l.inner, width);
  const bool known = byNumber(x.dtype, [&](auto element) {
    typedef decltype(element) T;
    const T* slices = static_cast<const T*>(x.data);
    T* to = static_cast<T*>(step.out[0].data);
    const bool stream = pieces == 1 && mayStream(to, l.outer * size, l.inner);
    parallelFor(context, l.outer * size * pieces, larger(1, 16384 / width), [&](int64_t begin, int64_t end, int) {
      for (int64_t item = begin; item < end; item++) {
        const int64_t row = item / pieces, low = item % pieces * width, o = row / size, r = row % size;
        const auto add = stream ? indexadd::addRow<T, true> : indexadd::addRow<T, false>;
        add(to + row * l.inner, slices + o * count * l.inner, l.inner, order + start[r], start[r + 1] - start[r], low, smaller(l.inner, low + width));
      }
      fenceStream();
    });
  });
  return known ? 0 : fail(context, "indexAdd", "only f32, f64 and i32 can be added");
}

static int runOneHot(const Step& step, const Context& context) {
  using namespace lines;
  int64_t classes;
  if (!shaped(step, 1, 1) || !attribute(step, 0, 1, INT32_MAX, &classes) || step.in[0].dtype != DType::I32 || step.out[0].dtype != DType::I32 ||
      sizeOf(step.out[0]) != sizeOf(step.in[0]) * classes)
    return fail(context, "oneHot", "inputs, output and attributes do not fit");
  if (!checkIndices(context, "oneHot", step.in[0], classes)) return 1;
  const int32_t* labels = static_cast<const int32_t*>(step.in[0].data);
  int32_t* to = static_cast<int32_t*>(step.out[0].data);
  parallelFor(context, sizeOf(step.in[0]), larger(1, 16384 / classes), [&](int64_t begin, int64_t end, int) {
    memset(to + begin * classes, 0, size_t((end - begin) * classes) * 4);
    for (int64_t i = begin; i < end; i++) to[i * classes + labels[i]] = 1;
  });
  return 0;
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
