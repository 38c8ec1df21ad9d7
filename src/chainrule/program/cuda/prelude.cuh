// The beginning of every kernel. It includes nothing, so that the runtime compiler needs no headers.
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif
#ifndef NAN
#define NAN __int_as_float(0x7fffffff)
#endif

#ifdef __CUDACC__
// 16-bit floats in memory; all arithmetic is in float.
struct float16 { unsigned short bits; };
struct bfloat16 { unsigned short bits; };

__device__ inline float to_float(float16 x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
}
__device__ inline float to_float(bfloat16 x) { return __uint_as_float((unsigned int)x.bits << 16); }

template <typename T> __device__ T rounded(float x);
template <> __device__ inline float16 rounded<float16>(float x) {
  float16 y;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
}
template <> __device__ inline bfloat16 rounded<bfloat16>(float x) {
  bfloat16 y;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
}
#endif

template <typename T> __device__ inline T value_of(T x) { return x; }
__device__ inline float value_of(float16 x) { return to_float(x); }
__device__ inline float value_of(bfloat16 x) { return to_float(x); }
template <typename T> __device__ inline void store(T *at, T x) { *at = x; }
__device__ inline void store(float16 *at, float x) { *at = rounded<float16>(x); }
__device__ inline void store(bfloat16 *at, float x) { *at = rounded<bfloat16>(x); }

// Functions that C lacks or defines differently. The larger and the smaller are NaN if either argument is.
template <typename T> __device__ inline T larger(T x, T y) { return (x > y || x != x) ? x : y; }
template <typename T> __device__ inline T smaller(T x, T y) { return (x < y || x != x) ? x : y; }
template <typename T> __device__ inline T clipped(T x, T low, T high) { return smaller(x < low ? low : x, high); }
template <typename T> __device__ inline T sign(T x) { return x > 0 ? T(1) : x < 0 ? T(-1) : x; }
template <> __device__ inline unsigned int sign(unsigned int x) { return x > 0 ? 1u : 0u; }
template <typename T> __device__ inline T absolute(T x) { return x < 0 ? -x : x; }
template <> __device__ inline unsigned int absolute(unsigned int x) { return x; }
template <> __device__ inline float absolute(float x) { return fabsf(x); }
template <> __device__ inline double absolute(double x) { return fabs(x); }
template <typename T> __device__ inline T inverted(T x) { return ~x; }
template <> __device__ inline bool inverted(bool x) { return !x; }
template <typename T> __device__ inline T whole_power(T x, T power) {
  T product = x;
  for (int i = 1; i < (int)power; i++) product *= x;
  return product;
}

// Neighbouring columns that are loaded and stored at once.
template <typename T, int width> struct alignas(sizeof(T) * width) Pack { T at[width]; };
template <int width, typename T> __device__ inline Pack<T, width> load(const T *at) {
  return *reinterpret_cast<const Pack<T, width> *>(at);
}
template <typename T, int width> __device__ inline void store(T *at, const Pack<T, width> &x) {
  *reinterpret_cast<Pack<T, width> *>(at) = x;
}

// A few numbers, `step` apart, in the type that is computed with; and the dot product of two of them.
template <int width = 1, int many, typename S, typename T>
__device__ inline void take(S (&x)[many], const T *at, long long step = 1) {
#pragma unroll
  for (int i = 0; i < many; i += width) {
    const Pack<T, width> pack = load<width>(at + i * step);
#pragma unroll
    for (int j = 0; j < width; j++) x[i + j] = value_of(pack.at[j]);
  }
}
template <int many, typename T> __device__ inline T dot(const T (&x)[many], const T (&y)[many]) {
  T sum = 0;
#pragma unroll
  for (int i = 0; i < many; i++) sum += x[i] * y[i];
  return sum;
}

// How many numbers of a thread one load moves.
template <typename T, int many> constexpr int pack_width() {
  return many * sizeof(T) % 16 == 0 ? 16 / sizeof(T) : many * sizeof(T) % 8 == 0 ? 8 / sizeof(T) : 1;
}

// Adds up 32 sums of each lane of a warp; sum[0] of lane i is then sum i. Two lanes exchange halves of their sums, and each goes on
// with one half. Templates make all indices constants, so that the sums stay in registers.
template <int half, typename Sum> __device__ inline void halve(Sum (&sum)[32], int lane) {
  if constexpr (half > 0) {
    const bool upper = lane & half;
#pragma unroll
    for (int v = 0; v < half; v++) {
      const Sum low = sum[v], high = sum[v + half];
      sum[v] = (upper ? high : low) + __shfl_xor_sync(0xffffffffu, upper ? low : high, half);
    }
    halve<half / 2>(sum, lane);
  }
}

// The block that computes a chain, and a thread's place in it. A kernel of one chain uses the block that it was launched with; a
// persistent kernel gives each chain a block of another shape. The members hide CUDA's variables of the same names.
struct Pair { unsigned int x, y; };
struct Block {
  Pair threadIdx, blockIdx, blockDim, gridDim;

  __device__ inline unsigned int here() const { return threadIdx.y * blockDim.x + threadIdx.x; }
  __device__ inline unsigned int number() const { return blockIdx.y * gridDim.x + blockIdx.x; }

  // Sums in a fixed order. The threads of a warp add up first, without a barrier; the sums of the warps go to shared memory, and
  // after a barrier some threads add those up. First, over the threads of each column, of `many` numbers each: see take_warps.
  template <int many, typename T> __device__ inline void put_warps(T (&x)[many], T *to) const {
    sum_over_warp(x, to + here() / 32 * blockDim.x * many, blockDim.x, 1, 0);
  }
  // From `step` threads apart on; stores sum i of column x at i * blockDim.x + x. Two threads exchange halves of their sums: one goes
  // on with those of even numbers, the other with the odd ones. A thread then has every `parts`th sum, from `first` on.
  template <int many, typename T>
  __device__ inline void sum_over_warp(T (&x)[many], T *to, unsigned int step, unsigned int parts, unsigned int first) const {
    if constexpr (many % 2 == 0) {
      if (step < 32) {
        const bool odd = here() & step;
        T half[many / 2];
#pragma unroll
        for (int i = 0; i < many / 2; i++) {
          const T even = x[2 * i], other = x[2 * i + 1];
          half[i] = (odd ? other : even) + __shfl_xor_sync(0xffffffffu, odd ? even : other, step);
        }
        sum_over_warp(half, to, 2 * step, 2 * parts, odd ? first + parts : first);
        return;
      }
    }
    const unsigned int own = step;
    for (; step < 32; step *= 2)
#pragma unroll
      for (int i = 0; i < many; i++) x[i] += __shfl_xor_sync(0xffffffffu, x[i], step);
    if (here() % 32 < own)
#pragma unroll
      for (int i = 0; i < many; i++) to[(first + i * parts) * blockDim.x + threadIdx.x] = x[i];
  }
  // One thread calls put(at, sum) with sum i of column x, at = x * many + i.
  template <int many, typename T, typename Put> __device__ inline void take_warps(const T *from, Put put) const {
    const unsigned int threads = blockDim.x * blockDim.y, sums = blockDim.x * many;
    for (unsigned int at = here(); at < sums; at += threads) {
      T sum = from[at];
      for (unsigned int warp = 1; warp < threads / 32; warp++) sum += from[warp * sums + at];
      put(at % blockDim.x * many + at / blockDim.x, sum);
    }
  }
  // Over the whole block; every thread gets the sum.
  template <typename T> __device__ inline void put_warps(T x, T *to) const {
    for (int step = 1; step < 32; step *= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
    if (here() % 32 == 0) to[here() / 32] = x;
  }
  template <typename T> __device__ inline T sum_of_warps(const T *from) const {
    T sum = from[0];
    for (unsigned int warp = 1; warp < blockDim.x * blockDim.y / 32; warp++) sum += from[warp];
    return sum;
  }
  // Over a row, which belongs to a warp or a part of one.
  template <typename T> __device__ inline T sum_over_row(T x) const {
    for (int half = blockDim.x / 2; half > 0; half /= 2) x += __shfl_xor_sync(0xffffffffu, x, half);
    return x;
  }
  template <typename T> __device__ inline T max_over_row(T x) const {
    for (int half = blockDim.x / 2; half > 0; half /= 2) x = larger(x, __shfl_xor_sync(0xffffffffu, x, half));
    return x;
  }

  // Sums over all blocks: each block writes parts, and the last block adds them up, always in the same order. An access to
  // memory takes longer than everything else here, so many parts are loaded before the first is added.
  // Adds every `step`th of `count` parts from `first` on; parts are `many` numbers, `stride` apart.
  template <int many, typename T>
  __device__ inline void add_parts(T (&sum)[many], const T *parts, unsigned int first, unsigned int count,
                                   unsigned int step, long long stride) const {
    constexpr int width = pack_width<T, many>(), flying = many < 32 ? 32 / many : 1;
    for (unsigned int y = first; y < count; y += flying * step) {
      Pack<T, width> part[flying][many / width];
#pragma unroll
      for (int j = 0; j < flying; j++)
#pragma unroll
        for (int i = 0; i < many / width; i++)
          part[j][i] = y + j * step < count ? load<width>(parts + (y + j * step) * stride + i * width) : Pack<T, width>{};
#pragma unroll
      for (int j = 0; j < flying; j++)
#pragma unroll
        for (int i = 0; i < many; i++) sum[i] += part[j][i / width].at[i % width];
    }
  }
  // Stores the sums of a block's columns, added up by its warps, as its parts; and adds up the parts of these columns, in their last block.
  template <int many, typename T> __device__ inline void put_parts(const T *warps, T *parts) const {
    T *const mine = parts + number() * (long long)blockDim.x * many;
    take_warps<many>(warps, [=](unsigned int at, T sum) { mine[at] = sum; });
  }
  template <int many, typename T> __device__ inline void take_parts(T (&x)[many], const T *parts) const {
    for (int i = 0; i < many; i++) x[i] = 0;
    const long long across = blockDim.x * many;
    add_parts(x, parts + blockIdx.x * across + threadIdx.x * many, threadIdx.y, gridDim.y, blockDim.y, gridDim.x * across);
  }
  template <typename T> __device__ inline T sum_of_totals(const T *parts, T *shared) const {
    T total[1] = {};
    add_parts(total, parts, here(), gridDim.x * gridDim.y, blockDim.x * blockDim.y, 1);
    put_warps(total[0], shared);
    __syncthreads();
    return sum_of_warps(shared);
  }

  // Whether this is the last of so many blocks to arrive here; it then sees what the others wrote before. The counter
  // is 0 again afterwards. The fences of one thread are enough, since the barriers around them order the rest of its block.
  __device__ inline bool is_last(unsigned int *counter, unsigned int blocks) const {
    if (blocks == 1) return true;
    __shared__ bool last;
    __syncthreads();
    if (here() == 0) {
      __threadfence();
      last = atomicInc(counter, blocks - 1) == blocks - 1;
      __threadfence();
    }
    __syncthreads();
    return last;
  }

  // The columns of a row, copied by the threads of a warp: eight loads are issued before the first store.
  template <int width, typename T>
  __device__ inline void copy_packs(T *to, const T *from, long long packs) const {
    for (long long first = threadIdx.x; first < packs; first += 8 * blockDim.x) {
      Pack<T, width> pack[8];
#pragma unroll
      for (int j = 0; j < 8; j++)
        if (first + j * blockDim.x < packs) pack[j] = load<width>(from + (first + j * blockDim.x) * width);
#pragma unroll
      for (int j = 0; j < 8; j++)
        if (first + j * blockDim.x < packs) store(to + (first + j * blockDim.x) * width, pack[j]);
    }
  }
  // 16 bytes at once if all rows begin at multiples of 16 bytes.
  template <typename T> __device__ inline void copy_row(T *to, const T *from, long long columns) const {
    constexpr int width = 16 / sizeof(T);
    if (columns % width == 0 && ((unsigned long long)to | (unsigned long long)from) % 16 == 0)
      copy_packs<width>(to, from, columns / width);
    else
      copy_packs<1>(to, from, columns);
  }

  // A (rows, many) @ W (many, columns), with `turned` W (columns, many); each thread gets the entry of its row and column, if there is
  // one. A warp has 32 / across rows, whose terms its lanes share. The block brings W to shared memory, some rows at a time, transposed,
  // so that neighbouring lanes read neighbouring packs. While it computes, the next part is on its way.
  template <int across, int columns, int many, bool turned, int width, typename T>
  __device__ inline auto long_dot(const T *A, const T *W, long long base, long long rows) const {
    typedef decltype(value_of(*A)) Sum;
    constexpr int down = 32 / across, once = 32 * width, packs = many <= once ? 1 : many <= 2 * once || down > 1 ? 2 : 4;
    constexpr int terms = once * packs, pitch = terms + width, padded = columns > 8 ? 16 : 8, threads = 256;
    __shared__ Pack<Sum, width> tile[columns][pitch / width];
    const unsigned int thread = here(), lane = thread % 32;
    const T *row[down];
    Pack<T, width> a[down][packs], next_a[down][packs];
    Sum sum[32] = {};
#pragma unroll
    for (int r = 0; r < down; r++) {
      const long long mine = base + thread / 32 * down + r;
      row[r] = A + (mine < rows ? mine : rows - 1) * many + lane * width;
    }
    // The first number of W that a thread brings. The others are a multiple of the threads later, in the order of W, its columns padded.
    constexpr int fast = turned ? terms : padded, step = turned ? 1 : columns, share = terms * padded / threads;
    const int low = thread % fast, high = thread / fast, term = turned ? low : high, column = turned ? high : low;
    const T *const from = W + (turned ? column * many + term : term * columns + (column < columns ? column : 0));
    Sum *const to = tile[0][0].at + column * pitch + term;
    T next_w[share];
    const auto fetch = [&](int start) {
#pragma unroll
      for (int p = 0; p < packs; p++)
#pragma unroll
        for (int r = 0; r < down; r++) {
          const bool is_term = many % terms == 0 || start + p * once + (int)lane * width < many;
          next_a[r][p] = is_term ? load<width>(row[r] + start + p * once) : Pack<T, width>{};
        }
#pragma unroll
      for (int i = 0; i < share; i++) {
        const int terms_on = turned ? i * threads % fast : i * threads / fast, columns_on = turned ? i * threads / fast : 0;
        const bool is_term = many % terms == 0 || start + term + terms_on < many;
        next_w[i] = is_term && (!turned || column + columns_on < columns) ? from[start * step + terms_on * step + columns_on * many] : T{};
      }
    };
    fetch(0);
    for (int start = 0; start < many; start += terms) {
      __syncthreads();
#pragma unroll
      for (int i = 0; i < share; i++) {
        const int terms_on = turned ? i * threads % fast : i * threads / fast, columns_on = turned ? i * threads / fast : 0;
        if (column + columns_on < columns) to[columns_on * pitch + terms_on] = value_of(next_w[i]);
      }
#pragma unroll
      for (int p = 0; p < packs; p++)
#pragma unroll
        for (int r = 0; r < down; r++) a[r][p] = next_a[r][p];
      __syncthreads();
      if (start + terms < many) fetch(start + terms);
#pragma unroll
      for (int p = 0; p < packs; p++)
#pragma unroll
        for (int c = 0; c < columns; c++) {
          const Pack<Sum, width> w = tile[c][p * 32 + lane];
#pragma unroll
          for (int r = 0; r < down; r++)
#pragma unroll
            for (int j = 0; j < width; j++) sum[r * across + c] += value_of(a[r][p].at[j]) * w.at[j];
        }
    }
    halve<16>(sum, lane);
    return sum[0];
  }
};
__device__ inline Block own_block() {
  return {{threadIdx.x, threadIdx.y}, {blockIdx.x, blockIdx.y}, {blockDim.x, blockDim.y}, {gridDim.x, gridDim.y}};
}
// Shared memory for the sums of a block; all chains of a kernel use the same, one after the other.
template <typename T, int count> __device__ inline T *sums_memory() {
  __shared__ T memory[count];
  return memory;
}
