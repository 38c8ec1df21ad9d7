// What every kernel begins with. It includes nothing: the runtime compiler then needs no headers.
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif
#ifndef NAN
#define NAN __int_as_float(0x7fffffff)
#endif

#ifdef __CUDACC__
// 16-bit floats as they are stored; all arithmetic is in float.
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

// Functions that C has not, or has otherwise. The larger and the smaller are NaN if either is.
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

// So many columns that lie side by side, moved as one.
template <typename T, int width> struct alignas(sizeof(T) * width) Pack { T at[width]; };
template <int width, typename T> __device__ inline Pack<T, width> load(const T *at) {
  return *reinterpret_cast<const Pack<T, width> *>(at);
}
template <typename T, int width> __device__ inline void store(T *at, const Pack<T, width> &x) {
  *reinterpret_cast<Pack<T, width> *>(at) = x;
}

// The block that computes a chain, and a thread's place in it. A kernel of one chain uses its own block; a kernel of a
// whole network gives each chain a block of another shape. The members hide CUDA's variables of the same names.
struct Pair { unsigned int x, y; };
struct Block {
  Pair threadIdx, blockIdx, blockDim, gridDim;

  // Sums in a fixed order: over the threads of a column, of the whole block, and of a row of at most a warp.
  template <typename T> __device__ inline T sum_over_y(T x, T *shared) const {
    const int here = threadIdx.y * blockDim.x + threadIdx.x;
    shared[here] = x;
    __syncthreads();
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
      if (threadIdx.y < half) shared[here] += shared[here + half * blockDim.x];
      __syncthreads();
    }
    const T sum = shared[threadIdx.x];
    __syncthreads();
    return sum;
  }
  template <typename T> __device__ inline T sum_over_block(T x, T *shared) const {
    const int here = threadIdx.y * blockDim.x + threadIdx.x;
    shared[here] = x;
    __syncthreads();
    for (int half = blockDim.x * blockDim.y / 2; half > 0; half /= 2) {
      if (here < half) shared[here] += shared[here + half];
      __syncthreads();
    }
    const T sum = shared[0];
    __syncthreads();
    return sum;
  }
  template <typename T> __device__ inline T sum_over_row(T x) const {
    for (int half = blockDim.x / 2; half > 0; half /= 2) x += __shfl_xor_sync(0xffffffffu, x, half);
    return x;
  }
  template <typename T> __device__ inline T max_over_row(T x) const {
    for (int half = blockDim.x / 2; half > 0; half /= 2) x = larger(x, __shfl_xor_sync(0xffffffffu, x, half));
    return x;
  }

  // Sums over all blocks: each block writes a part of each column's sum, or of a total, and the last block adds them up.
  template <typename T>
  __device__ inline void put_part(T x, T *parts, long long column, long long columns, T *shared) const {
    const T part = sum_over_y(x, shared);
    if (threadIdx.y == 0 && column < columns) parts[blockIdx.y * columns + column] = part;
  }
  template <typename S, typename T>
  __device__ inline void put_sum(S *out, const T *parts, long long column, long long columns, T *shared) const {
    T sum = 0;
    if (column < columns)
      for (unsigned int y = threadIdx.y; y < gridDim.y; y += blockDim.y) sum += parts[y * columns + column];
    sum = sum_over_y(sum, shared);
    if (threadIdx.y == 0 && column < columns) store(out + column, sum);
  }
  template <typename T> __device__ inline void put_total(T x, T *parts, T *shared) const {
    const T part = sum_over_block(x, shared);
    if (threadIdx.x == 0 && threadIdx.y == 0) parts[blockIdx.y * gridDim.x + blockIdx.x] = part;
  }
  template <typename T> __device__ inline T sum_of_totals(const T *parts, T *shared) const {
    const unsigned int first = threadIdx.y * blockDim.x + threadIdx.x, blocks = gridDim.x * gridDim.y;
    T total = 0;
    for (unsigned int block = first; block < blocks; block += blockDim.x * blockDim.y) total += parts[block];
    return sum_over_block(total, shared);
  }

  // Whether this is the last of so many blocks to get here; it then sees what the others wrote before. The counter
  // is 0 again afterwards.
  __device__ inline bool is_last(unsigned int *counter, unsigned int blocks) const {
    __shared__ bool last;
    if (blocks == 1) {
      __syncthreads();
      return true;
    }
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0) last = atomicInc(counter, blocks - 1) == blocks - 1;
    __syncthreads();
    __threadfence();
    return last;
  }
};
__device__ inline Block own_block() {
  return {{threadIdx.x, threadIdx.y}, {blockIdx.x, blockIdx.y}, {blockDim.x, blockDim.y}, {gridDim.x, gridDim.y}};
}
// Memory that the sums of a block are added up in, one after the other: the same for all chains of a kernel.
template <typename T, int count> __device__ inline T *sums_memory() {
  __shared__ T memory[count];
  return memory;
}
