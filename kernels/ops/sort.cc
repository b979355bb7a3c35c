// Kernels "sort" and "topk": x -> values and indices (i32) along a dimension, packed. sort: attrs [dim, descending]; topk: attrs [dim, k, largest].
// Both orders are stable (equal values in the order of their positions); NaN counts as the largest value.
#include "lines.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace sorting {

template <class T> struct KeyOf { typedef uint32_t type; };
template <> struct KeyOf<double> { typedef uint64_t type; };

// An unsigned number in the order of the values: negative floats turn all bits over, the others only the sign.
static inline uint32_t key(int32_t x) { return uint32_t(x) ^ 0x80000000u; }
static inline uint32_t key(float x) {
  if (x != x) return ~0u;
  if (x == 0) return 0x80000000u;   // -0 equals 0
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
static inline uint64_t key(double x) {
  if (x != x) return ~uint64_t(0);
  if (x == 0) return uint64_t(1) << 63;
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits >> 63 ? ~bits : bits | uint64_t(1) << 63;
}

template <class K> struct Item { K key; int32_t place; };

template <class K> static void insertionSort(Item<K>* items, int64_t n) {
  for (int64_t i = 1; i < n; i++) {
    const Item<K> item = items[i];
    int64_t j = i;
    for (; j > 0 && items[j - 1].key > item.key; j--) items[j] = items[j - 1];
    items[j] = item;
  }
}

// Radix sort, a byte at a time from the lowest: stable, and a pass in which all bytes are equal is left out. Returns where the result is.
template <class K> static Item<K>* radixSort(Item<K>* items, Item<K>* spare, int64_t n) {
  int64_t count[sizeof(K)][256];
  memset(count, 0, sizeof count);
  for (int64_t i = 0; i < n; i++)
    for (unsigned b = 0; b < sizeof(K); b++) count[b][items[i].key >> (8 * b) & 255]++;
  for (unsigned b = 0; b < sizeof(K); b++) {
    if (count[b][items[0].key >> (8 * b) & 255] == n) continue;
    int64_t at = 0;
    for (int v = 0; v < 256; v++) {
      const int64_t next = at + count[b][v];
      count[b][v] = at;
      at = next;
    }
    for (int64_t i = 0; i < n; i++) spare[count[b][items[i].key >> (8 * b) & 255]++] = items[i];
    Item<K>* t = items;
    items = spare, spare = t;
  }
  return items;
}

template <class K> static inline bool before(const Item<K>& a, const Item<K>& b) { return a.key < b.key || (a.key == b.key && a.place < b.place); }

// Restores the heap below `at`: every parent comes after its children in the order, so that items[0] is the last of them.
template <class K> static void sink(Item<K>* items, int64_t n, int64_t at) {
  const Item<K> item = items[at];
  for (int64_t child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && before(items[child], items[child + 1])) child++;
    if (!before(item, items[child])) break;
    items[at] = items[child];
  }
  items[at] = item;
}

// The first k of n in order: a heap holds the best so far; what does not come before its last is passed over.
template <class K, class Get> static void firstOf(Item<K>* heap, int64_t k, int64_t n, const Get& get) {
  for (int64_t i = 0; i < k; i++) heap[i] = get(i);
  for (int64_t i = k / 2 - 1; i >= 0; i--) sink(heap, k, i);
  for (int64_t i = k; i < n; i++) {
    const Item<K> item = get(i);
    if (item.key >= heap[0].key) continue;
    heap[0] = item;
    sink(heap, k, 0);
  }
  for (int64_t m = k - 1; m > 0; m--) {
    const Item<K> last = heap[0];
    heap[0] = heap[m];
    heap[m] = last;
    sink(heap, m, 0);
  }
}

// The first `kept` elements of every line in order. Returns false when memory is short.
template <class T>
static bool run(const Context& context, const lines::Lines& l, bool descending, int64_t kept, const T* x, T* values, int32_t* indices) {
  typedef typename KeyOf<T>::type K;
  int32_t failed = 0;
  const bool select = kept * 8 <= l.size && kept <= 4096;
  parallelFor(context, l.outer * l.inner, lines::larger(1, 4096 / lines::larger(l.size, 1)), [&](int64_t begin, int64_t end, int worker) {
    Item<K>* memory = static_cast<Item<K>*>(context.scratch(context.pool, worker, uint64_t(select ? kept : 2 * l.size) * sizeof(Item<K>)));
    if (!memory) { __atomic_store_n(&failed, 1, __ATOMIC_RELAXED); return; }
    for (int64_t line = begin; line < end; line++) {
      const int64_t o = line / l.inner, i = line % l.inner;
      const T* from = x + o * l.size * l.inner + i;
      auto item = [&](int64_t p) {
        const K k = key(from[p * l.inner]);
        return Item<K>{descending ? K(~k) : k, int32_t(p)};
      };
      Item<K>* sorted = memory;
      if (select) firstOf(memory, kept, l.size, item);
      else {
        for (int64_t p = 0; p < l.size; p++) memory[p] = item(p);
        if (l.size <= 48) insertionSort(memory, l.size);
        else sorted = radixSort(memory, memory + l.size, l.size);
      }
      const int64_t to = o * kept * l.inner + i;
      for (int64_t p = 0; p < kept; p++) {
        values[to + p * l.inner] = from[sorted[p].place * l.inner];
        indices[to + p * l.inner] = sorted[p].place;
      }
    }
  });
  return !failed;
}

static int start(const char* name, const Step& step, const Context& context, bool top) {
  using namespace lines;
  int64_t dim, kept = 0, descending;
  if (!shaped(step, 1, 2) || !attribute(step, 0, 0, step.in[0].rank - 1, &dim) || !attribute(step, top ? 2 : 1, 0, 1, &descending) ||
      (top && !attribute(step, 1, 0, step.in[0].shape[dim], &kept)))
    return fail(context, name, "input and attributes do not fit");
  const View& x = step.in[0];
  if (!top) kept = x.shape[dim];
  for (int i = 0; i < 2; i++)
    if (!sameSizes(x, step.out[i], int(dim)) || step.out[i].shape[dim] != kept) return fail(context, name, "an output has the wrong shape");
  if (step.out[0].dtype != x.dtype || step.out[1].dtype != DType::I32 || x.shape[dim] > INT32_MAX) return fail(context, name, "an output has the wrong dtype");
  if (kept == 0) return 0;
  bool done = true;
  const bool known = byNumber(x.dtype, [&](auto element) {
    typedef decltype(element) T;
    done = run(context, linesOf(x, int(dim)), descending != 0, kept, static_cast<const T*>(x.data), static_cast<T*>(step.out[0].data), static_cast<int32_t*>(step.out[1].data));
  });
  if (!known) return fail(context, name, "only f32, f64 and i32 are supported");
  return done ? 0 : fail(context, name, "no working memory for the elements of a line");
}

}  // namespace sorting

static int runSort(const Step& step, const Context& context) { return sorting::start("sort", step, context, false); }
static int runTopk(const Step& step, const Context& context) { return sorting::start("topk", step, context, true); }

}  // namespace GRAFT_ISA_NS
}  // namespace graft
