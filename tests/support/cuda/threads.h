// CUDA's threads on a CPU: the threads of a block are fibers, which go on where one has to wait for another.
// `backwards` runs them in the other order: a missing barrier then gives other numbers.
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <vector>

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __shared__ static
#define __int_as_float(x) INFINITY

struct uint2_ { unsigned int x, y; };
static uint2_ threadIdx, blockIdx, blockDim, gridDim;

enum { BLOCKS = 16, THREADS = 256, MOST = BLOCKS * THREADS, STACK = 1 << 16 };  // of a cluster, of a block
struct Meeting { int arrived, times, members; };
static jmp_buf scheduler, fibers[MOST];
static bool begun[MOST], done[MOST];
static char *stacks = (char *)malloc((size_t)MOST * STACK);
static Meeting of_cluster, of_block[BLOCKS], of_warp[MOST / 32];
static char slots[MOST][8];
static int current;
static void (*kernel_body)(void **);
static void **kernel_arguments;

// A switch by jumps costs no system call, as one by contexts does.
static void pause_fiber() {
  if (!_setjmp(fibers[current])) _longjmp(scheduler, 1);
}
static void wait_at(Meeting &meeting) {
  const int mine = meeting.times;
  if (++meeting.arrived == meeting.members) {
    meeting.arrived = 0;
    meeting.times++;
    return;
  }
  while (meeting.times == mine) pause_fiber();
}
static void __syncthreads() { wait_at(of_block[current / THREADS]); }
static int fences;
static void __threadfence() { fences++; }
static void __syncwarp();
static unsigned int atomicInc(unsigned int *at, unsigned int most) {
  const unsigned int old = *at;
  *at = old >= most ? 0 : old + 1;
  return old;
}
template <typename T> static T __shfl_xor_sync(unsigned int, T x, int half) {
  const int me = current;
  memcpy(slots[me], &x, sizeof(T));
  wait_at(of_warp[me / 32]);
  T y;
  memcpy(&y, slots[me ^ half], sizeof(T));
  wait_at(of_warp[me / 32]);
  return y;
}

static void __syncwarp() { wait_at(of_warp[current / 32]); }

// The shared memory of a block, filled with NaN, and copies to it that come as late as they may.
// That of the block in turn is in place, those of the others of its cluster are kept apart.
alignas(16) static unsigned char memory[232448 + 256];
static unsigned char (*const kept)[sizeof(memory)] = (unsigned char (*)[sizeof(memory)])malloc(BLOCKS * sizeof(memory));
// A block goes on until all of its threads wait for the other blocks of its cluster.
static bool waits[MOST];
static void cluster_barrier() {
  waits[current] = true;
  wait_at(of_cluster);
  waits[current] = false;
}
template <typename T> static T *remote(T *at, unsigned int block) {
  return (int)block == current / THREADS ? at : (T *)(kept[block] + ((unsigned char *)at - memory));
}
struct Copy { void *to; const void *from; size_t size; };
static std::vector<Copy> under_way[MOST];
template <int width, typename T> static void copy_async(T *to, const T *from) {
  under_way[current].push_back({to, from, width * sizeof(T)});
}
static void arrived() {
  for (const Copy &copy : under_way[current]) memcpy(copy.to, copy.from, copy.size);
  under_way[current].clear();
}
static void check_memory(unsigned int used) {
  for (size_t at = used; at < sizeof(memory); at++)
    if (memory[at] != 0xFF) fprintf(stderr, "a block wrote beyond its shared memory\n"), abort();
}

static void fiber() {
  for (;;) {  // a thread of every block: a stack is made once
    kernel_body(kernel_arguments);
    done[current] = true;
    pause_fiber();
  }
}
static void go_on_with(int t) {
  current = t;
  if (_setjmp(scheduler)) return;
  if (begun[t]) _longjmp(fibers[t], 1);
  begun[t] = true;
  ucontext_t start;
  getcontext(&start);
  start.uc_stack.ss_sp = stacks + (size_t)t * STACK;
  start.uc_stack.ss_size = STACK;
  start.uc_link = nullptr;
  makecontext(&start, fiber, 0);
  setcontext(&start);
}
// Runs the threads of block `b` of a cluster until all are done, or wait for other blocks; returns how many are not done.
static int run_block(int b, bool backwards) {
  const int count = blockDim.x * blockDim.y;
  for (;;) {
    int left = 0, waiting = 0;
    for (int i = 0; i < count; i++) {
      const int in_block = backwards ? count - 1 - i : i, t = b * THREADS + in_block;
      if (done[t]) continue;
      threadIdx = {in_block % blockDim.x, in_block / blockDim.x};
      go_on_with(t);
      left += !done[t];
      waiting += !done[t] && waits[t];
    }
    if (left == waiting) return left;
  }
}
static void run_cluster(unsigned int first, int blocks, unsigned int used, bool backwards) {
  const int count = blockDim.x * blockDim.y;
  of_cluster = {0, 0, blocks * count};
  for (int b = 0; b < blocks; b++) {
    of_block[b] = {0, 0, count};
    for (int warp = 0; warp * 32 < count; warp++)
      of_warp[(b * THREADS) / 32 + warp] = {0, 0, count - warp * 32 < 32 ? count - warp * 32 : 32};
    for (int t = 0; t < count; t++) done[b * THREADS + t] = waits[b * THREADS + t] = false;
    if (used) memset(kept[b], 0xFF, sizeof(memory));
  }
  for (int left = 1; left > 0;) {
    left = 0;
    for (int i = 0; i < blocks; i++) {
      const int b = backwards ? blocks - 1 - i : i;
      blockIdx = {(first + b) % gridDim.x, (first + b) / gridDim.x};
      if (used) memcpy(memory, kept[b], sizeof(memory));
      left += run_block(b, backwards);
      if (used) check_memory(used), memcpy(kept[b], memory, sizeof(memory));
    }
  }
}
// threadIdx is one variable for all fibers: the scheduler sets it before it goes on with one.
// Returns how many fences there were.
static int run_grid(void (*body)(void **), void **arguments, const unsigned int *shape, int backwards) {
  fences = 0;
  kernel_body = body;
  kernel_arguments = arguments;
  gridDim = {shape[0], shape[1]};
  blockDim = {shape[2], shape[3]};
  const unsigned int clusters = gridDim.x * gridDim.y / shape[5];
  for (unsigned int i = 0; i < clusters; i++)
    run_cluster((backwards ? clusters - 1 - i : i) * shape[5], shape[5], shape[4], backwards);
  return fences;
}

// 16-bit floats, rounded to the nearest, ties to even.
struct float16 { unsigned short bits; };
struct bfloat16 { unsigned short bits; };
static float bits_to_float(unsigned int bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
static unsigned int float_to_bits(float x) {
  unsigned int bits;
  memcpy(&bits, &x, 4);
  return bits;
}
static float to_float(bfloat16 x) { return bits_to_float((unsigned int)x.bits << 16); }
static float to_float(float16 x) {
  const int exponent = x.bits >> 10 & 31, fraction = x.bits & 1023;
  const float size = exponent == 31 ? (fraction ? NAN : INFINITY)
                     : exponent     ? ldexpf(1024 + fraction, exponent - 25)
                                    : ldexpf(fraction, -24);
  return x.bits & 0x8000 ? -size : size;
}
template <typename T> T rounded(float x);
template <> bfloat16 rounded<bfloat16>(float x) {
  const unsigned int bits = float_to_bits(x);
  if (x != x) return {(unsigned short)(bits >> 16 | 64)};
  return {(unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}
template <> float16 rounded<float16>(float x) {
  const unsigned short sign = float_to_bits(x) >> 16 & 0x8000;
  const float size = fabsf(x);
  if (x != x) return {(unsigned short)(sign | 0x7e00)};
  if (size >= 65520) return {(unsigned short)(sign | 0x7c00)};
  int exponent = 0;
  frexpf(size, &exponent);
  const int unit = (exponent > -13 ? exponent : -13) - 11;  // of the last place
  const float steps = nearbyintf(ldexpf(size, -unit));      // at most 2048
  unsigned short bits;
  if (size < 6.103515625e-05f) bits = (unsigned short)steps;  // denormal
  else bits = (unsigned short)(((unit + 24) << 10) + (int)steps);
  return {(unsigned short)(sign | bits)};
}
