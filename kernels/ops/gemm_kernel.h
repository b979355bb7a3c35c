// The register-blocked micro-kernel of matmul and convolution: a block C[rows, cols] (+)= sum over k of A[row, k] * B[k, col] whose accumulators stay
// in registers. Written once on Vec; the block size fits the register file of each instruction set.
#pragma once
#include "../core/kernel.h"
#include "../simd/partial.h"
#include "../simd/vec.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace gemm {

#define GRAFT_FORCE_INLINE inline __attribute__((always_inline))

// kRows x kVecs accumulators, kVecs vectors of B and one broadcast value of A must fit: 32 registers (AVX-512, NEON) or 16.
#if GRAFT_VEC_BYTES == 64
constexpr int kRows = 12, kVecs = 2;
#elif GRAFT_VEC_BYTES == 32
constexpr int kRows = 6, kVecs = 2;
#elif defined(__ARM_NEON)
constexpr int kRows = 8, kVecs = 3;
#else
constexpr int kRows = 5, kVecs = 2;   // 6 would fit as well if WebAssembly's compiler kept no register for itself
#endif
template <class T> constexpr int kCols = kVecs * kLanes<T>;

// Where row i of A is at step k. Packed: the rows of one panel lie side by side. Strided: the tensor itself.
template <class T, int MR> struct PackedA {
  const T* p;
  GRAFT_FORCE_INLINE T at(int i) const {
#if defined(__ARM_NEON)   // multiplies by a lane of a vector, so one load serves all its lanes
    constexpr int L = kLanes<T>;
    if (i < MR / L * L) {
      if constexpr (L == 4) return vld1q_f32(p + i / L * L)[i % L];
      else return vld1q_f64(p + i / L * L)[i % L];
    }
#endif
    return p[i];
  }
  GRAFT_FORCE_INLINE void next() { p += MR; }
};
template <class T> struct StridedA {
  const T* p;
  int64_t row, step;
  GRAFT_FORCE_INLINE T at(int i) const { return p[i * row]; }
  GRAFT_FORCE_INLINE void next() { p += step; }
};

// Where the vectors of B are at step k. Rows: `step` elements apart (packed panels and row-major tensors). Taps: at a table of offsets (convolution).
template <class T> struct RowsB {
  const T* p;
  int64_t step;
  GRAFT_FORCE_INLINE const T* row() const { return p; }
  GRAFT_FORCE_INLINE void next() { p += step; }
};
template <class T> struct TapsB {
  const T* p;
  const int32_t* offset;
  GRAFT_FORCE_INLINE const T* row() const { return p + *offset; }
  GRAFT_FORCE_INLINE void next() { offset++; }
};

// `tail` is the number of lanes of the last vector that exist. RaggedB: B itself ends there (not padded), so its last vector is loaded partially.
template <class T, int MR, int NV, bool RaggedB, class A, class B>
GRAFT_FORCE_INLINE void block(int64_t K, A a, B b, T* c, int64_t ldc, int tail, bool add) {
  constexpr int L = kLanes<T>;
  Vec<T> sum[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; i++)
#pragma GCC unroll 16
    for (int j = 0; j < NV; j++) sum[i][j] = Vec<T>{};
  for (int64_t k = 0; k < K; k++) {
    Vec<T> row[NV];
#pragma GCC unroll 16
    for (int j = 0; j < NV; j++) row[j] = RaggedB && j == NV - 1 ? loadPartial(b.row() + j * L, tail) : load(b.row() + j * L);
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++) {
      Vec<T> x = broadcast<T>(a.at(i));
#if defined(__wasm__)
      __asm__ volatile("" ::: "memory");   // keeps the loads of a block in this order: all at once they push sums out of registers
#endif
#pragma GCC unroll 16
      for (int j = 0; j < NV; j++) sum[i][j] = multiplyAdd(x, row[j], sum[i][j]);
    }
    a.next();
    b.next();
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; i++) {
    T* out = c + i * ldc;
#pragma GCC unroll 16
    for (int j = 0; j < NV; j++) {
      if (j < NV - 1 || tail == L) {
        store(out + j * L, add ? load(out + j * L) + sum[i][j] : sum[i][j]);
      } else {
        storePartial(out + j * L, add ? loadPartial(out + j * L, tail) + sum[i][j] : sum[i][j], tail);
      }
    }
  }
}

// Every block size up to kRows x kVecs, so that ragged edges cost no padding: kernel[rows - 1][vectors - 1].
template <class T> using PackedFn = void (*)(int64_t K, const T* a, const T* b, int64_t ldb, T* c, int64_t ldc, int tail, bool add);
template <class T, int MR, int NV> static void packedBlock(int64_t K, const T* a, const T* b, int64_t ldb, T* c, int64_t ldc, int tail, bool add) {
  block<T, MR, NV, false>(K, PackedA<T, MR>{a}, RowsB<T>{b, ldb}, c, ldc, tail, add);
}
// A straight from the tensor: row i at step k is a[i * row + k * step].
template <class T> using DirectFn = void (*)(int64_t K, const T* a, int64_t row, int64_t step, const T* b, int64_t ldb, T* c, int64_t ldc, int tail, bool add);
template <class T, int MR, int NV>
static void directBlock(int64_t K, const T* a, int64_t row, int64_t step, const T* b, int64_t ldb, T* c, int64_t ldc, int tail, bool add) {
  block<T, MR, NV, false>(K, StridedA<T>{a, row, step}, RowsB<T>{b, ldb}, c, ldc, tail, add);
}
template <class T> using TapsFn = void (*)(int64_t K, const T* a, const T* b, const int32_t* offset, T* c, int64_t ldc, int tail, bool add);
template <class T, int MR, int NV> static void tapsBlock(int64_t K, const T* a, const T* b, const int32_t* offset, T* c, int64_t ldc, int tail, bool add) {
  block<T, MR, NV, false>(K, PackedA<T, MR>{a}, TapsB<T>{b, offset}, c, ldc, tail, add);
}

template <class T, template <class, int, int> class Make, class Fn> struct BlockTable {
  Fn fn[kRows][kVecs];
  template <int MR> constexpr void fillRow() {
    fn[MR - 1][0] = Make<T, MR, 1>::run;
    if constexpr (kVecs > 1) fn[MR - 1][1] = Make<T, MR, 2>::run;
    if constexpr (kVecs > 2) fn[MR - 1][2] = Make<T, MR, 3>::run;
    if constexpr (MR > 1) fillRow<MR - 1>();
  }
  constexpr BlockTable() : fn{} { fillRow<kRows>(); }
};
template <class T, int MR, int NV> struct MakePacked { static constexpr PackedFn<T> run = packedBlock<T, MR, NV>; };
template <class T, int MR, int NV> struct MakeDirect { static constexpr DirectFn<T> run = directBlock<T, MR, NV>; };
template <class T, int MR, int NV> struct MakeTaps { static constexpr TapsFn<T> run = tapsBlock<T, MR, NV>; };
template <class T> static constexpr BlockTable<T, MakePacked, PackedFn<T>> kPackedBlock{};
template <class T> static constexpr BlockTable<T, MakeDirect, DirectFn<T>> kDirectBlock{};
template <class T> static constexpr BlockTable<T, MakeTaps, TapsFn<T>> kTapsBlock{};

template <class N> static inline N lesser(N a, N b) { return a < b ? a : b; }

// `units` cut into pieces of at most `most`, as evenly as can be: piece i is [begin(i), begin(i + 1)). The longer pieces come first.
struct Cut {
  int64_t units, pieces, size, longer;
  Cut(int64_t units_, int64_t most) : units(units_), pieces((units_ + most - 1) / most), size(pieces ? units / pieces : 0), longer(units - size * pieces) {}
  int64_t begin(int64_t i) const { return size * i + (i < longer ? i : longer); }
};

}  // namespace gemm
}  // namespace GRAFT_ISA_NS
}  // namespace graft
