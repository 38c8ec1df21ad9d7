// The few functions of cuBLAS that the step calls, as its documentation has them, on host memory.
#include <string.h>

enum { HOST = 0, DEVICE = 1, R_32F = 0, R_64F = 1, R_16F = 2, R_16BF = 14, C_32F = 68, C_64F = 70, C_TF32 = 77 };
struct Handle { void *stream, *workspace; size_t bytes; int mode, math; };
static long long calls, compute;

static float bits(unsigned int b) { float x; memcpy(&x, &b, 4); return x; }
static double half(unsigned short h) {
  const int e = h >> 10 & 31, f = h & 1023;
  double x = e ? 1024 + f : f;
  for (int i = e ? e : 1; i < 25; i++) x /= 2;
  for (int i = 25; i < e; i++) x *= 2;
  return h & 0x8000 ? -x : x;
}
static double get(const void *at, int type, long long i) {
  if (type == R_32F) return ((const float *)at)[i];
  if (type == R_64F) return ((const double *)at)[i];
  const unsigned short h = ((const unsigned short *)at)[i];
  return type == R_16F ? half(h) : bits((unsigned int)h << 16);
}
static unsigned short to_half(double x) {
  const unsigned short sign = x < 0 ? 0x8000 : 0;
  double size = x < 0 ? -x : x;
  int low = 0, high = 0x7c00;  // the values of the bits grow with them: look for the place
  while (high - low > 1) (half((low + high) / 2) <= size ? low : high) = (low + high) / 2;
  const double down = size - half(low), up = half(high) - size;
  return sign | (down < up || (down == up && !(low & 1)) ? low : high);
}
static void put(void *at, int type, long long i, double x) {
  if (type == R_32F) ((float *)at)[i] = (float)x;
  else if (type == R_64F) ((double *)at)[i] = x;
  else if (type == R_16F) ((unsigned short *)at)[i] = to_half(x);
  else {
    const float f = (float)x;
    unsigned int b;
    memcpy(&b, &f, 4);
    ((unsigned short *)at)[i] = (unsigned short)((b + 0x7fff + (b >> 16 & 1)) >> 16);
  }
}

extern "C" {
int cublasCreate_v2(Handle **handle) { *handle = new Handle{0, 0, 0, HOST, 0}; return 0; }
int cublasDestroy_v2(Handle *handle) { delete handle; return 0; }
int cublasSetStream_v2(Handle *h, void *stream) { h->stream = stream; h->workspace = 0; return 0; }
int cublasSetWorkspace_v2(Handle *h, void *at, size_t bytes) {
  if ((size_t)at % 256) return 7;
  h->workspace = at, h->bytes = bytes;
  return 0;
}
int cublasSetPointerMode_v2(Handle *h, int mode) { h->mode = mode; return 0; }
int cublasSetMathMode(Handle *h, int math) { h->math = math; return 0; }
int math_mode(Handle *h) { return h->math; }
long long gemm_calls() { return calls; }
long long last_compute() { return compute; }
// Column-major C (m, n) <- alpha op(A) op(B) + beta C, as cublasGemmEx.
int cublasGemmEx(Handle *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *A, int type_a, int lda,
                 const void *B, int type_b, int ldb, const void *beta, void *C, int type_c, int ldc, int type, int algo) {
  const bool is_double = type_c == R_64F;
  if (!h->workspace || algo != -1 || type_a != type_b || type != (is_double ? C_64F : type == C_TF32 ? C_TF32 : C_32F)) return 7;
  if (lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m || m < 1 || n < 1 || k < 1) return 7;
  const double a = is_double ? *(const double *)alpha : *(const float *)alpha;
  const double b = is_double ? *(const double *)beta : *(const float *)beta;
  calls++, compute = type;
  for (long long j = 0; j < n; j++)
    for (long long i = 0; i < m; i++) {
      double sum = 0;
      for (long long l = 0; l < k; l++)
        sum += get(A, type_a, ta ? l + i * lda : i + l * lda) * get(B, type_b, tb ? j + l * ldb : l + j * ldb);
      put(C, type_c, i + j * ldc, a * sum + (b != 0 ? b * get(C, type_c, i + j * ldc) : 0));
    }
  return 0;
}

// The functions of cuBLASLt that a layer's forward product calls. A cuBLAS handle is one of cuBLASLt, too.
struct Desc { int compute, scale, ta, tb, epilogue; const void *bias; };
struct Layout { int type; unsigned long long rows, columns; long long ld; };
struct Preference { unsigned int aligned[4]; unsigned int reduction; unsigned long long workspace; };
struct Algorithm { unsigned long long data[8]; };
struct Heuristic { Algorithm algorithm; size_t workspace; int state; float waves; int reserved[4]; };
static long long lt_calls, lt_alive;
long long lt_call_count() { return lt_calls; }
long long lt_descriptors() { return lt_alive; }
int cublasLtMatmulDescCreate(Desc **d, int compute, int scale) { lt_alive++; *d = new Desc{compute, scale, 0, 0, 1, 0}; return 0; }
int cublasLtMatmulDescDestroy(Desc *d) { lt_alive--; delete d; return 0; }
int cublasLtMatmulDescSetAttribute(Desc *d, int attribute, const void *value, size_t size) {
  if (size != (attribute == 8 ? sizeof(void *) : sizeof(int))) return 7;
  if (attribute == 3) memcpy(&d->ta, value, size);
  else if (attribute == 4) memcpy(&d->tb, value, size);
  else if (attribute == 7) memcpy(&d->epilogue, value, size);
  else if (attribute == 8) memcpy(&d->bias, value, size);
  else return 7;
  return 0;
}
int cublasLtMatrixLayoutCreate(Layout **l, int type, unsigned long long rows, unsigned long long columns, long long ld) {
  lt_alive++;
  *l = new Layout{type, rows, columns, ld};
  return ld < (long long)rows ? 7 : 0;
}
int cublasLtMatrixLayoutDestroy(Layout *l) { lt_alive--; delete l; return 0; }
int cublasLtMatmulPreferenceCreate(Preference **p) { lt_alive++; *p = new Preference{{256, 256, 256, 256}, 7, 0}; return 0; }
int cublasLtMatmulPreferenceDestroy(Preference *p) { lt_alive--; delete p; return 0; }
int cublasLtMatmulPreferenceSetAttribute(Preference *p, int attribute, const void *value, size_t size) {
  if (attribute == 1 && size == 8) memcpy(&p->workspace, value, 8);
  else if (attribute == 3 && size == 4) memcpy(&p->reduction, value, 4);
  else if (attribute >= 5 && attribute <= 8 && size == 4) memcpy(&p->aligned[attribute - 5], value, 4);
  else return 7;
  return 0;
}
// It has no algorithm for float64, as a device may have none.
int cublasLtMatmulAlgoGetHeuristic(Handle *, Desc *d, Layout *A, Layout *B, Layout *C, Layout *D, Preference *p, int asked,
                                   Heuristic *found, int *count) {
  *count = d->compute != C_64F;
  if (C != D || A->type != B->type || d->scale != (d->compute == C_64F ? R_64F : R_32F) || p->reduction != 2 || asked != 1) return 7;
  *found = {};
  found->algorithm.data[0] = p->aligned[0], found->algorithm.data[1] = p->aligned[1], found->algorithm.data[2] = p->aligned[3];
  found->workspace = p->workspace;
  return 0;
}
// Its relu turns NaN into 0, which the real one may do.
// Column-major D (m, n) <- f(op(A) op(B) + bias), with a number of the bias for each row, as cublasLtMatmul.
int cublasLtMatmul(Handle *h, Desc *d, const void *alpha, const void *A, Layout *a, const void *B, Layout *b, const void *beta,
                   const void *C, Layout *c, void *D, Layout *e, const Algorithm *algorithm, void *workspace, size_t bytes, void *stream) {
  const long long m = d->ta ? a->columns : a->rows, k = d->ta ? a->rows : a->columns, n = d->tb ? b->rows : b->columns;
  const size_t places[] = {(size_t)A, (size_t)B, (size_t)D};
  for (int i = 0; i < 3; i++)
    if (!algorithm->data[i] || places[i] % algorithm->data[i]) return 7;
  if (workspace != h->workspace || bytes != h->bytes || stream != h->stream || C != D || c != e) return 7;
  if ((long long)(d->tb ? b->columns : b->rows) != k || (long long)e->rows != m || (long long)e->columns != n) return 7;
  if ((d->epilogue != 4 && d->epilogue != 6) || !d->bias || (size_t)d->bias % 16 || *(const float *)alpha != 1 || *(const float *)beta != 0) return 7;
  lt_calls++, compute = d->compute;
  for (long long j = 0; j < n; j++)
    for (long long i = 0; i < m; i++) {
      double sum = get(d->bias, e->type, i);
      for (long long l = 0; l < k; l++)
        sum += get(A, a->type, d->ta ? l + i * a->ld : i + l * a->ld) * get(B, b->type, d->tb ? j + l * b->ld : l + j * b->ld);
      put(D, e->type, i + j * e->ld, d->epilogue == 6 && !(sum > 0) ? 0 : sum);
    }
  return 0;
}
}
