// A packed tensor seen as [outer, size, inner] around one dimension, and checked indices into it: for the kernels that gather, scatter, sort and scan.
#pragma once
#include "rows.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace lines {

using rows::ceilDiv;
using rows::fail;
using rows::larger;
using rows::packed;
using rows::sizeOf;
using rows::smaller;

struct Lines { int64_t outer, size, inner; };

static inline Lines linesOf(const View& v, int dim) {
  Lines l{1, v.shape[dim], 1};
  for (int d = 0; d < dim; d++) l.outer *= v.shape[d];
  for (int d = dim + 1; d < v.rank; d++) l.inner *= v.shape[d];
  return l;
}

// Attribute i as a whole number in low..high; false when it is missing or something else.
static inline bool attribute(const Step& step, int i, int64_t low, int64_t high, int64_t* value) {
  if (i >= step.attrCount) return false;
  const double x = step.attrs[i];
  if (!(x >= double(low) && x <= double(high))) return false;
  *value = int64_t(x);
  return double(*value) == x;
}

// A step of `inputs` packed inputs and `outputs` packed outputs.
static inline bool shaped(const Step& step, int inputs, int outputs) {
  if (step.inCount != inputs || step.outCount != outputs) return false;
  for (int i = 0; i < inputs; i++)
    if (!packed(step.in[i])) return false;
  for (int i = 0; i < outputs; i++)
    if (!packed(step.out[i])) return false;
  return true;
}

static inline bool sameSizes(const View& a, const View& b, int except = -1) {
  if (a.rank != b.rank) return false;
  for (int d = 0; d < a.rank; d++)
    if (d != except && a.shape[d] != b.shape[d]) return false;
  return true;
}

// The position of the first index outside 0..limit-1, or -1.
static inline int64_t firstOutside(const int32_t* index, int64_t count, int64_t limit) {
  const uint32_t top = limit > INT32_MAX ? uint32_t(INT32_MAX) + 1 : uint32_t(limit);   // a negative index is large as an unsigned number
  for (int64_t begin = 0; begin < count; begin += 4096) {
    const int64_t end = smaller(count, begin + 4096);
    uint32_t bad = 0;
    for (int64_t i = begin; i < end; i++) bad |= uint32_t(index[i]) >= top;
    if (!bad) continue;
    for (int64_t i = begin; i < end; i++)
      if (uint32_t(index[i]) >= top) return i;
  }
  return -1;
}

// The same by all threads where there are many.
static inline int64_t firstOutside(const Context& context, const int32_t* index, int64_t count, int64_t limit) {
  constexpr int64_t kPart = 1 << 16;
  if (count <= kPart) return firstOutside(index, count, limit);
  int64_t first = count;
  parallelFor(context, ceilDiv(count, kPart), 1, [&](int64_t begin, int64_t end, int) {
    const int64_t from = begin * kPart, bad = firstOutside(index + from, smaller(count, end * kPart) - from, limit);
    if (bad < 0) return;
    int64_t known = __atomic_load_n(&first, __ATOMIC_RELAXED);
    while (from + bad < known && !__atomic_compare_exchange_n(&first, &known, from + bad, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
  });
  return first < count ? first : -1;
}

// "[3, 0]" for an element's number in a packed view.
static inline void describePosition(const View& v, int64_t position, char* text, size_t length) {
  int64_t at[kMaxRank];
  for (int d = v.rank - 1; d >= 0; d--) {
    at[d] = position % v.shape[d];
    position /= v.shape[d];
  }
  size_t used = size_t(__builtin_snprintf(text, length, "["));
  for (int d = 0; d < v.rank && used < length; d++) used += size_t(__builtin_snprintf(text + used, length - used, d ? ", %lld" : "%lld", (long long)at[d]));
  if (used < length) __builtin_snprintf(text + used, length - used, "]");
}

// True when all indices are inside; otherwise the message is written.
static inline bool checkIndices(const Context& context, const char* kernel, const View& index, int64_t limit) {
  const int32_t* values = static_cast<const int32_t*>(index.data);
  const int64_t bad = firstOutside(context, values, sizeOf(index), limit);
  if (bad < 0) return true;
  char position[160];
  describePosition(index, bad, position, sizeof position);
  if (limit > 0)
    __builtin_snprintf(context.error, context.errorLength, "%s: index %d at %s is out of range for a dimension of %lld. Use 0 to %lld.", kernel, values[bad], position,
                       (long long)limit, (long long)limit - 1);
  else __builtin_snprintf(context.error, context.errorLength, "%s: index %d at %s is out of range for a dimension of 0. It holds nothing.", kernel, values[bad], position);
  return false;
}

static inline int64_t bytesOf(DType dtype) { return dtype == DType::F64 ? 8 : dtype == DType::BF16 || dtype == DType::F16 ? 2 : dtype == DType::U8 || dtype == DType::Bool ? 1 : 4; }

// Calls body with a value of the unsigned type that is as wide as an element: copying does not care what the bits mean.
template <class F> static inline void byWidth(DType dtype, const F& body) {
  switch (bytesOf(dtype)) {
    case 1: body(uint8_t()); break;
    case 2: body(uint16_t()); break;
    case 4: body(uint32_t()); break;
    default: body(uint64_t());
  }
}

// Calls body with a float, double or int32 value; false for other dtypes.
template <class F> static inline bool byNumber(DType dtype, const F& body) {
  if (dtype == DType::F32) body(float());
  else if (dtype == DType::F64) body(double());
  else if (dtype == DType::I32) body(int32_t());
  else return false;
  return true;
}

// Integers wrap around.
template <class T> static inline void addTo(T& sum, T x) { sum += x; }
static inline void addTo(int32_t& sum, int32_t x) { sum = int32_t(uint32_t(sum) + uint32_t(x)); }

// Bytes of a result, past the caches where kStream is set: then `to` and `bytes` are whole vectors (mayStream).
template <bool kStream> static inline void copyBytes(char* to, const char* from, int64_t bytes) {
  if (!kStream) return void(memcpy(to, from, size_t(bytes)));
  for (int64_t i = 0; i < bytes; i += kLanes<char>) storeStream(reinterpret_cast<float*>(to + i), load(reinterpret_cast<const float*>(from + i)));
}
template <bool kStream> static inline void clearBytes(char* to, int64_t bytes) {
  if (!kStream) return void(memset(to, 0, size_t(bytes)));
  for (int64_t i = 0; i < bytes; i += kLanes<char>) storeStream(reinterpret_cast<float*>(to + i), Vec<float>{});
}

static inline void copyParallel(const Context& context, void* to, const void* from, int64_t bytes) {
  parallelFor(context, bytes, 1 << 16, [&](int64_t begin, int64_t end, int) {
    memcpy(static_cast<char*>(to) + begin, static_cast<const char*>(from) + begin, size_t(end - begin));
  });
}

}  // namespace lines
}  // namespace GRAFT_ISA_NS
}  // namespace graft
