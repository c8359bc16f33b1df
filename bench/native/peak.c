/*
 * What one thread of this machine can do at most, in float32: fused multiply-adds in registers, bytes to and from memory,
 * and to and from the last cache. Prints one JSON object, "flops" in FLOP/s, "bandwidth" and "cache" in bytes/s, "vector" in
 * floats: the best of some tries each.
 *
 * cc -O3 -march=native -ffp-contract=fast peak.c -o peak
 */
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__AVX512F__)
#define WIDTH 16
#elif defined(__AVX__)
#define WIDTH 8
#else
#define WIDTH 4
#endif

typedef float vector __attribute__((vector_size(4 * WIDTH)));

/* Independent chains: latency (4 cycles) times units (2) of current processors, and some more. Each a variable of its own,
   so that all stay in registers. */
#define CHAINS 12
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define BEGIN(i) vector sum##i = y + (float)i;
#define STEP(i) sum##i = sum##i * x + y;
#define KEEP(i) total += sum##i;
#define TURNS 20000000L
#define TRIES 7
/* Three arrays of 256 MB, far more than any cache; and the first 4 MB of each, more than a core's own cache. */
#define LENGTH (64L << 20)
#define CACHED (1L << 20)
#define PASSES 32

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double multiply_adds(float seed) {
  vector x = {0}, y = {0}, total = {0};
  /* Nothing here is known while this is compiled, and no value leaves the normal range. */
  x += 1.0f - seed;
  y += seed;
  EACH(BEGIN)
  double begin = now();
  for (long turn = 0; turn < TURNS; turn++) {
    EACH(STEP)
  }
  double seconds = now() - begin;
  EACH(KEEP)
  volatile float sink = total[0];
  (void)sink;
  return 2.0 * WIDTH * CHAINS * (double)TURNS / seconds;
}

/* a = b + s c (McCalpin's STREAM): two reads and one write are counted, not what a write first fetches. */
static double triad(float *restrict a, const float *restrict b, const float *restrict c, float s, long length, long passes) {
  double begin = now();
  for (long pass = 0; pass < passes; pass++) {
    for (long i = 0; i < length; i++) a[i] = b[i] + s * c[i];
    __asm__ volatile("" : : "r"(a) : "memory");
  }
  double seconds = now() - begin;
  return 3.0 * sizeof(float) * (double)length * (double)passes / seconds;
}

static void keep_best(double *best, double found) {
  if (found > *best) *best = found;
}

int main(int argc, char **argv) {
  float seed = 1e-3f * (float)argc;
  (void)argv;
  double flops = 0, bandwidth = 0, cache = 0;
  for (int i = 0; i < TRIES; i++) keep_best(&flops, multiply_adds(seed));
  float *a = malloc(sizeof(float) * LENGTH), *b = malloc(sizeof(float) * LENGTH), *c = malloc(sizeof(float) * LENGTH);
  if (!a || !b || !c) return 1;
  for (long i = 0; i < LENGTH; i++) a[i] = 0, b[i] = (float)i, c[i] = seed;
  for (int i = 0; i < TRIES; i++) {
    keep_best(&bandwidth, triad(a, b, c, seed, LENGTH, 1));
    keep_best(&cache, triad(a, b, c, seed, CACHED, PASSES));
  }
  printf("{\"flops\": %.0f, \"bandwidth\": %.0f, \"cache\": %.0f, \"vector\": %d}\n", flops, bandwidth, cache, WIDTH);
  return 0;
}
