// The functions of a persistent kernel. Everything that a step reads and writes is in the shared memory of its block.
#ifdef __CUDACC__
extern __shared__ __align__(16) unsigned char memory[];

// A copy from global to shared memory while the thread goes on; `arrived` waits for the copies of this thread.
template <int width, typename T> __device__ inline void copy_async(T *to, const T *from) {
#if __CUDA_ARCH__ >= 800
  if constexpr (width * sizeof(T) >= 4) {
    const unsigned int at = (unsigned int)__cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(at), "l"(from), "n"(width * sizeof(T)) : "memory");
    return;
  }
#endif
  store(to, load<width>(from));
}
__device__ inline void arrived() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

#if __CUDA_ARCH__ >= 900
// The same place in the shared memory of another block of the cluster; and a barrier of all its blocks.
template <typename T> __device__ inline T *remote(T *at, unsigned int block) {
  T *there;
  asm("mapa.u64 %0, %1, %2;" : "=l"(there) : "l"(at), "r"(block));
  return there;
}
__device__ inline void cluster_barrier() {
  asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}
#endif
#endif
template <typename T> __device__ inline void fetch(T *to, const T *from, int count) {
  for (int at = threadIdx.x; at < count; at += blockDim.x) copy_async<1>(to + at, from + at);
}
template <int width, typename T>
__device__ inline void fetch_packs(T *to, const T *from, const long long *order, int rows, int packs) {
  for (int at = threadIdx.x; at < rows * packs; at += blockDim.x)
    copy_async<width>(to + at * width, from + (order[at / packs] * packs + at % packs) * width);
}
// 16 bytes at once if all rows begin at multiples of 16 bytes.
template <typename T> __device__ inline void fetch_rows(T *to, const T *from, const long long *order, int rows, int columns) {
  constexpr int width = 16 / sizeof(T);
  if (columns % width == 0 && (unsigned long long)from % 16 == 0)
    fetch_packs<width>(to, from, order, rows, columns / width);
  else
    fetch_packs<1>(to, from, order, rows, columns);
}
template <typename T> __device__ inline void put_back(const T *from, T *to, int count) {
  for (int at = threadIdx.x; at < count; at += blockDim.x) to[at] = from[at];
}
// Block `number` of a row of `blocks` blocks in a chain's grid, `across` threads wide.
__device__ inline Block block_of(unsigned int across, unsigned int number, unsigned int blocks) {
  return {{threadIdx.x % across, threadIdx.x / across}, {number, 0}, {across, blockDim.x / across}, {blocks, 1}};
}
// Adds up sums of `parts` neighbouring threads. Two threads exchange halves of their sums, and each goes on with one half, until it
// has 16 / parts of them, from `kept` on. Templates make all indices constants, so that the sums stay in registers.
template <int half, int bit, int parts, typename Sum>
__device__ inline void share(Sum (&sum)[16], int &kept, int part) {
  if constexpr (bit < parts) {
    const bool upper = part & bit;
#pragma unroll
    for (int v = 0; v < half; v++) {
      const Sum low = sum[v], high = sum[v + half];
      sum[v] = (upper ? high : low) + __shfl_xor_sync(0xffffffffu, upper ? low : high, bit);
    }
    kept += upper ? half : 0;
    share<half / 2, 2 * bit, parts>(sum, kept, part);
  }
}
// Loads `width` terms, from `at` on, of four rows of A or four columns of B, and stores term t of number i at to[t][i]. With `terms`, a
// factor's neighbours in memory are the terms of one number, else the numbers of one term; `stride` leads to the next of the others.
template <int width, bool terms, typename T, typename Sum>
__device__ inline void take_four(Sum (&to)[width][4], const T *from, int stride, const int (&numbers)[4], int count, int at) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const bool is_term = width == 4 && !terms;  // pack i has four numbers of term at + i
    const int number = is_term ? numbers[0] : numbers[i] < count ? numbers[i] : 0, term = is_term ? at + i : at;
    const Pack<T, width> pack = load<width>(from + (terms ? number * stride + term : term * stride + number));
#pragma unroll
    for (int j = 0; j < width; j++) to[is_term ? i : j][is_term ? j : i] = value_of(pack.at[j]);
  }
}
// out (m, n) <- A (m, k) @ B (k, n), whose strides are those between the rows or, of a transposed factor, between the columns.
// A thread computes 4 x 4 entries. If there are few entries, 2, 4, 8 or 16 neighbouring threads (`parts`) share the terms of each, added
// up in a fixed order. With `width` 4 it loads four neighbours at once: four terms, or its rows or columns, which then lie side by side;
// else they are `down` and `across` apart, so that neighbouring threads read neighbouring entries.
template <int parts, int width, bool A_turned, bool B_turned, typename T>
__device__ inline void multiply(int m, int n, int k, const T *A, int A_stride, const T *B, int B_stride, T *out) {
  typedef decltype(value_of(*A)) Sum;
  constexpr bool beside = width == 4 && A_turned, above = width == 4 && !B_turned;  // rows, columns lie side by side
  const int down = (m + 3) / 4, across = (n + 3) / 4, tiles = down * across;
  const int part = threadIdx.x % parts, step = blockDim.x / parts;
  for (int first = 0; first < tiles; first += step) {
    const int mine = first + threadIdx.x / parts, tile = mine < tiles ? mine : 0, i = tile / across, j = tile % across;
    int row[4], column[4];
#pragma unroll
    for (int r = 0; r < 4; r++) {
      row[r] = beside ? 4 * i + r : i + r * down;
      column[r] = above ? 4 * j + r : j + r * across;
    }
    Sum sum[16] = {};
    // Along the columns of a transposed factor, neighbouring threads would use one bank: each begins at another term.
    const int begin = B_turned ? width * j % k : 0;
    for (int l = width * part; l < k; l += width * parts) {
      const int at = l + begin < k ? l + begin : l + begin - k;
      Sum a[width][4], b[width][4];
      take_four<width, !A_turned>(a, A, A_stride, row, m, at);
      take_four<width, B_turned>(b, B, B_stride, column, n, at);
#pragma unroll
      for (int t = 0; t < width; t++)
#pragma unroll
        for (int v = 0; v < 16; v++) sum[v] += a[t][v / 4] * b[t][v % 4];
    }
    int kept = 0;
    share<8, 1, parts>(sum, kept, part);
#pragma unroll
    for (int v = 0; v < 16 / parts; v++) {
      const int r = (v + kept) / 4, c = (v + kept) % 4;
      const int to_row = beside ? 4 * i + r : i + r * down, to_column = above ? 4 * j + c : j + c * across;
      if (mine < tiles && to_row < m && to_column < n) store(out + to_row * n + to_column, sum[v]);
    }
  }
}

#if !defined(__CUDACC__) || __CUDA_ARCH__ >= 900
// Over the blocks of a cluster, in their order: each block adds up its share of g, and one of them the losses.
template <int blocks, typename T>
__device__ inline void sum_share(T *g, int count, T *own, int share, T *loss, T *total) {
  constexpr int width = 16 / sizeof(T);
  const int rank = blockIdx.x % blocks;
  cluster_barrier();
  for (int at = threadIdx.x * width; at < share && rank * share + at < count; at += blockDim.x * width) {
    Pack<T, width> part[blocks];
#pragma unroll
    for (int block = 0; block < blocks; block++) part[block] = load<width>(remote(g + rank * share + at, block));
#pragma unroll
    for (int block = 1; block < blocks; block++)
#pragma unroll
      for (int i = 0; i < width; i++) part[0].at[i] += part[block].at[i];
    store(own + at, part[0]);
  }
  if (rank == 0 && threadIdx.x == 0) {
    T sum = *loss;
    for (int block = 1; block < blocks; block++) sum += *remote(loss, block);
    *total = sum;
  }
}
// Copies the shares of all blocks.
template <typename T> __device__ inline void collect_shares(T *x, int count, T *own, int share) {
  constexpr int width = 16 / sizeof(T);
  cluster_barrier();
  for (int at = threadIdx.x * width; at < count; at += blockDim.x * width)
    store(x + at, load<width>(remote(own + at % share, at / share)));
}
#endif
