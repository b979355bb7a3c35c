// Kernel "random": element 4 * block + i is word i of a block of Philox; src/ops/random.ts is the reference.
// in: key i32[4] (seed, stream); attrs: kind (0 uniform [0, 1), 1 normal, 2 raw bits); out: f32, f64 or (bits) i32.
#include "../core/kernel.h"
#include "../simd/transpose.h"
#include "philox.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace philox {

constexpr int kBatch = 64;            // counter blocks computed together, one per lane
constexpr int64_t kGrain = 2048;      // counter blocks per claim of a worker

struct Words { uint32_t word[4][kBatch]; };

// The four words of kBatch consecutive blocks.
static void fill(Words& out, int64_t block, const uint32_t* key) {
  constexpr int kSide = GRAFT_VEC_BYTES == 32 ? 2 : 1;
  static_assert(kBatch % (kSide * L) == 0, "batches are whole");
  for (int at = 0; at < kBatch; at += kSide * L) {
    uint64_t first[kSide];
    VecU c[4][kSide];
    for (int s = 0; s < kSide; s++) first[s] = uint64_t(block + at + s * L);
    rounds<kSide>(first, 1, key, c);
    for (int w = 0; w < 4; w++)
      for (int s = 0; s < kSide; s++) store(out.word[w] + at + s * L, c[w][s]);
  }
}

static inline VecF unsignedToFloat(VecU a) {   // exact in the upper 16 and the lower 16 bits; one rounding in their sum
  return toFloat(VecI(a >> 16)) * 65536.0f + toFloat(VecI(a & 0xffff));
}

// Box and Muller (1958): radius sqrt(-2 ln((a + 1) / 2^32)), angle 2 pi b / 2^32. Where u = (a + 1) / 2^32 is near 1, ln(u) is taken of 1 - u from the
// integer, and the angle is reduced to a quarter turn as an integer: so f32 loses nothing to cancellation.
static inline void normal(VecU a, VecU b, VecF* x, VecF* y) {
  VecI e;
  const VecF f = splitExponent((unsignedToFloat(a) + 1) * 0x1p-32f, &e), below = unsignedToFloat(~a) * 0x1p-32f;   // below = 1 - u
  const VecI near = below < 0.25f;
  const VecF radius = squareRoot(-2 * logOf(near ? -below : f, toFloat(near ? VecI{} : e), VecF{}));
  const VecU quarter = (b + 0x20000000u) >> 30;
  const VecF angle = toFloat(VecI(b - (quarter << 30))) * 1.46291807926715968e-9f;   // 2 pi / 2^32
  const VecF s = sinQuarter(angle), c = cosQuarter(angle);
  const VecI odd = VecI(quarter & 1) != 0;
  const VecF cosine = odd ? s : c, sine = odd ? c : s;
  const VecI cosNegative = VecI((quarter + 1) & 2) != 0, sinNegative = VecI(quarter & 2) != 0;
  *x = radius * (cosNegative ? -cosine : cosine);
  *y = radius * (sinNegative ? -sine : sine);
}

enum Kind { Uniform, Normal, Bits };

template <class T> static void interleave(T* out, int64_t n, const T (&rows)[4][kBatch]) {
  const int64_t whole = n / 4;
  int64_t i = 0;
  if (sizeof(T) == 4) {
    i = whole / 8 * 8;
    const float* words[4];
    for (int k = 0; k < 4; k++) words[k] = reinterpret_cast<const float*>(rows[k]);
    interleave4(words, i, reinterpret_cast<float*>(out));
  }
  for (; i < whole; i++)
    for (int k = 0; k < 4; k++) out[4 * i + k] = rows[k][i];
  for (int64_t k = 4 * whole; k < n; k++) out[k] = rows[k & 3][whole];
}

static void write(float* out, int64_t n, const Words& words, Kind kind) {
  float values[4][kBatch];
  for (int at = 0; at < kBatch; at += L) {
    VecU w[4];
    VecF v[4];
    for (int k = 0; k < 4; k++) w[k] = load(words.word[k] + at);
    if (kind == Normal) {
      normal(w[0], w[1], &v[0], &v[1]);
      normal(w[2], w[3], &v[2], &v[3]);
    } else {
      for (int k = 0; k < 4; k++) v[k] = upperBits(w[k]) * 0x1p-24f;
    }
    for (int k = 0; k < 4; k++) store(values[k] + at, v[k]);
  }
  interleave(out, n, values);
}
static void write(double* out, int64_t n, const Words& words, Kind kind) {
  double values[4][kBatch];
  for (int i = 0; i < kBatch && i * 4 < n; i++)
    for (int k = 0; k < 4; k += 2) {
      const uint32_t a = words.word[k][i], b = words.word[k + 1][i];
      if (kind != Normal) {
        values[k][i] = double(a >> 8) * 0x1p-24;
        values[k + 1][i] = double(b >> 8) * 0x1p-24;
        continue;
      }
      const double radius = __builtin_sqrt(-2 * __builtin_log((double(a) + 1) / 4294967296.0)), angle = 2 * 3.14159265358979323846 * double(b) / 4294967296.0;
      values[k][i] = radius * __builtin_cos(angle);
      values[k + 1][i] = radius * __builtin_sin(angle);
    }
  interleave(out, n, values);
}
static void write(uint32_t* out, int64_t n, const Words& words, Kind) { interleave(out, n, words.word); }

template <class T> static void run(void* out, int64_t n, const uint32_t* key, Kind kind, const Context& context) {
  parallelFor(context, (n + 3) / 4, kGrain, [&](int64_t begin, int64_t end, int) {
    Words words;
    for (int64_t block = begin; block < end; block += kBatch) {
      const int64_t last = (block + kBatch < end ? block + kBatch : end) * 4;
      fill(words, block, key);
      write(static_cast<T*>(out) + block * 4, (last < n ? last : n) - block * 4, words, kind);
    }
  });
}

}  // namespace philox

static int runRandom(const Step& step, const Context& context) {
  auto fail = [&](const char* why) {
    if (context.errorLength) __builtin_snprintf(context.error, context.errorLength, "random: %s", why);
    return 1;
  };
  if (step.inCount != 1 || step.outCount != 1 || step.attrCount != 1) return fail("expected a key, an output and a kind");
  const View& key = step.in[0];
  const View& out = step.out[0];
  const double kind = step.attrs[0];
  if (key.dtype != DType::I32 || key.buffer == -2 || key.rank != 1 || key.shape[0] != 4) return fail("the key must be i32 [4]");
  if (!(kind == philox::Uniform || kind == philox::Normal || kind == philox::Bits)) return fail("unknown kind");
  if (kind == philox::Bits ? out.dtype != DType::I32 : out.dtype != DType::F32 && out.dtype != DType::F64) return fail("the output's dtype does not fit the kind");
  int64_t n = 1;
  for (int d = out.rank - 1; d >= 0; n *= out.shape[d--])
    if (out.shape[d] != 1 && out.stride[d] != n && out.shape[d] != 0 && n != 0) return fail("the output must be contiguous");
  uint32_t words[4];
  for (int i = 0; i < 4; i++) words[i] = uint32_t(static_cast<const int32_t*>(key.data)[i * key.stride[0]]);
  if (out.dtype == DType::F64) philox::run<double>(out.data, n, words, philox::Kind(int(kind)), context);
  else if (out.dtype == DType::F32) philox::run<float>(out.data, n, words, philox::Kind(int(kind)), context);
  else philox::run<uint32_t>(out.data, n, words, philox::Bits, context);
  return 0;
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
