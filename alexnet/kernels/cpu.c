/* Kernels that give torch's bits faster, for channels_last maps on a CPU: response normalization (response_norm.py), max and
 * average pooling (pooling.py), and the update rule (optimizer.py). Each needs one pass over memory where torch's operations need
 * several. Every sum, product and root is computed in the same order and rounded at the same places; -ffp-contract=off prevents
 * the compiler from fusing anything that is not written as fmaf. Rows and images are independent, so threads change no bit.
 *
 * Values are float32, or bfloat16 as the upper half of one; all arithmetic is in float32. Built by cpu.py and compiled.py. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#define LANES 16        /* maps of one pixel that within_map normalizes together */
#define LARGEST_POOL 15 /* pixels a side of a pool's window, so that a position fits in a byte */
#define FLAT 384        /* values of one block of cross_map: its buffers and masks stay in the first-level cache */
#define RESTRICT __restrict__

/* Sixteen at a time. */
typedef float floats __attribute__((vector_size(64)));
typedef int32_t ints __attribute__((vector_size(64)));
typedef uint32_t words __attribute__((vector_size(64)));
#define INLINE static inline __attribute__((always_inline))

static inline float from_bf16(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static inline uint16_t to_bf16(float value) { /* to nearest, ties to even; NaN stays NaN */
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded);
}

static inline void load(float *RESTRICT to, const void *from, int64_t at, int64_t count, int is_bf16) {
    if (is_bf16) {
        const uint16_t *RESTRICT source = (const uint16_t *)from + at;
        for (int64_t i = 0; i < count; i++) to[i] = from_bf16(source[i]);
    } else {
        const float *RESTRICT source = (const float *)from + at;
        for (int64_t i = 0; i < count; i++) to[i] = source[i];
    }
}

static inline void store(void *to, int64_t at, const float *RESTRICT from, int64_t count, int is_bf16) {
    if (is_bf16) {
        uint16_t *RESTRICT target = (uint16_t *)to + at;
        for (int64_t i = 0; i < count; i++) target[i] = to_bf16(from[i]);
    } else {
        float *RESTRICT target = (float *)to + at;
        for (int64_t i = 0; i < count; i++) target[i] = from[i];
    }
}

/* scale^-0.75 = r * sqrt(r) where r = 1 / sqrt(scale). The last root is computed as r * (1 / sqrt(r)): torch's rsqrt rounds
 * correctly, but its sqrt may be MKL's, which does not. */
static inline float power(float scale) {
    const float root = 1.0f / sqrtf(scale);
    return root * (root * (1.0f / sqrtf(root)));
}

#ifdef __AVX512F__
/* 1 / sqrt(scale), with root and reciprocal rounded as by their two instructions, which are slow and share one unit. Newton steps
 * improve an approximation; the last step of each uses the exact remainder (Markstein 1990). This is wrong only for the
 * reciprocal of a root whose fraction is all ones, which the last lines correct. For scales from 2^-60 on;
 * tests/alexnet/kernels/test_cpu.py tries every fraction. */
static inline __m512 inverse_root(__m512 scale) {
    const __m512 half = _mm512_set1_ps(0.5f), one = _mm512_set1_ps(1.0f);
    const __m512i ones = _mm512_set1_epi32(0x7fffff);
    __m512 inverse = _mm512_rsqrt14_ps(scale);
    __m512 root = _mm512_mul_ps(scale, inverse), slope = _mm512_mul_ps(half, inverse); /* slope: 1 / (2 root) */
    const __m512 error = _mm512_fnmadd_ps(slope, root, half);
    root = _mm512_fmadd_ps(root, error, root);
    slope = _mm512_fmadd_ps(slope, error, slope);
    root = _mm512_fmadd_ps(_mm512_fnmadd_ps(root, root, scale), slope, root);
    inverse = _mm512_add_ps(slope, slope);
    inverse = _mm512_fmadd_ps(_mm512_fnmadd_ps(root, inverse, one), inverse, inverse);
    const __mmask16 last = _mm512_cmpeq_epi32_mask(_mm512_and_epi32(_mm512_castps_si512(root), ones), ones);
    const __m512i bits = _mm512_castps_si512(inverse);
    return _mm512_castsi512_ps(_mm512_mask_add_epi32(bits, last, bits, _mm512_set1_epi32(1)));
}
#endif

/* to[i] = power(scales[i]); no scale may be below k */
void powers(float *RESTRICT to, const float *RESTRICT scales, int64_t count, float k) {
    int64_t i = 0;
#ifdef __AVX512F__
    for (; k >= 0x1p-60f && i + 16 <= count; i += 16) { /* one root by each method: they run in parallel */
        const __m512 root = inverse_root(_mm512_loadu_ps(scales + i));
        const __m512 other = _mm512_div_ps(_mm512_set1_ps(1.0f), _mm512_sqrt_ps(root));
        _mm512_storeu_ps(to + i, _mm512_mul_ps(root, _mm512_mul_ps(root, other)));
    }
#endif
    for (; i < count; i++) to[i] = power(scales[i]);
}

/* sums[i] = values[i] + values[i + step] + ... , `size` terms */
static inline void window(float *RESTRICT sums, const float *RESTRICT values, int64_t length, int64_t size, int64_t step) {
    if (size == 1) {
        memcpy(sums, values, length * sizeof(float));
    } else if (size == 5) {
        for (int64_t i = 0; i < length; i++)
            sums[i] = (((values[i] + values[i + step]) + values[i + 2 * step]) + values[i + 3 * step]) + values[i + 4 * step];
    } else {
        for (int64_t i = 0; i < length; i++) sums[i] = values[i] + values[i + step];
        for (int64_t shift = 2; shift < size; shift++)
            for (int64_t i = 0; i < length; i++) sums[i] += values[i + shift * step];
    }
}

/* ---- Response normalization across maps, with beta 0.75: each row of `maps` values is normalized by itself. `upstream` is null in
 * the forward pass. ---------------------------------------------------------------------------------------------------------- */

/* sums[i] = values[i - size/2] + ... + values[i + size/2] for `length` values, a multiple of 16. `own`, `size` masks of `length`,
 * makes values of other rows 0. It is null if there is only one row, with zeros around it. */
INLINE void window_in_rows(float *RESTRICT sums, const float *RESTRICT values, const int32_t *RESTRICT own, int64_t length,
                           int64_t size) {
    for (int64_t i = 0; i < length; i += 16) {
        floats sum = {0};
        for (int64_t shift = 0; shift < size; shift++) {
            floats term;
            memcpy(&term, values + i + shift - size / 2, sizeof term);
            if (own) {
                ints mask;
                memcpy(&mask, own + shift * length + i, sizeof mask);
                term = (floats)((ints)term & mask);
            }
            sum = shift ? sum + term : term;
        }
        memcpy(sums + i, &sum, sizeof sum);
    }
}

/* Normalizes `together` rows at a time. `length` is their number of values, padded to a multiple of 16; `work` holds
 * 5 * length + 2 * (size / 2) floats. */
static void cross_map_rows(void *out, const void *in, const void *upstream, int64_t begin, int64_t rows, int64_t maps,
                           int64_t size, float k, float alpha, float twice, int is_bf16, int64_t together, int64_t length,
                           const int32_t *RESTRICT own, float *work) {
    float *RESTRICT x = work, *RESTRICT sums = x + length, *RESTRICT scaled = sums + length, *RESTRICT factors = scaled + length;
    float *RESTRICT padded = factors + length, *RESTRICT squares = padded + size / 2;
    memset(padded, 0, (length + 2 * (size / 2)) * sizeof(float));
    for (int64_t first = begin; first < rows; first += together) {
        const int64_t here = rows - first < together ? (rows - first) * maps : together * maps, at = first * maps;
        load(x, in, at, here, is_bf16);
        for (int64_t i = 0; i < here; i++) squares[i] = x[i] * x[i];
#define WINDOW (size == 5 ? window_in_rows(sums, squares, own, length, 5) : window_in_rows(sums, squares, own, length, size))
        WINDOW; /* values beyond `here` are left from the block before, and never stored */
        for (int64_t i = 0; i < here; i++) sums[i] = sums[i] * alpha + k;
        powers(factors, sums, here, alpha >= 0 ? k : 0);
        if (!upstream) {
            for (int64_t i = 0; i < here; i++) scaled[i] = factors[i] * x[i];
        } else {
            load(scaled, upstream, at, here, is_bf16);
            for (int64_t i = 0; i < here; i++) {
                scaled[i] = factors[i] * scaled[i];
                squares[i] = scaled[i] * x[i] / sums[i];
            }
            WINDOW;
            for (int64_t i = 0; i < here; i++) scaled[i] = fmaf(sums[i] * x[i], -twice, scaled[i]);
        }
        store(out, at, scaled, here, is_bf16);
    }
}

/* Returns 0, or 1 if there was no memory. */
int cross_map(void *out, const void *in, const void *upstream, int64_t rows, int64_t maps, int64_t size, float k, float alpha,
              float twice, int is_bf16, int threads) {
    const int64_t margin = size / 2, together = maps < FLAT ? FLAT / maps : 1, length = (together * maps + 15) / 16 * 16;
    const int64_t values = 5 * length + 2 * margin;
    float *work = malloc(threads * values * sizeof(float));
    int32_t *own = together > 1 ? malloc(size * length * sizeof(int32_t)) : NULL;
    const int has_room = work && (own || together == 1);
    if (has_room && own)
        for (int64_t shift = 0; shift < size; shift++)
            for (int64_t i = 0; i < length; i++) {
                const int64_t neighbour = i % maps + shift - margin;
                own[shift * length + i] = neighbour >= 0 && neighbour < maps && i < together * maps ? -1 : 0;
            }
    if (has_room) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
        for (int part = 0; part < threads; part++)
            cross_map_rows(out, in, upstream, rows * part / threads, rows * (part + 1) / threads, maps, size, k, alpha, twice,
                           is_bf16, together, length, own, work + part * values);
    }
    free(own);
    free(work);
    return !has_room;
}

/* ---- Within a map: size x size pixels around each, LANES maps at a time. `work` holds 4 * LANES * (height + 2 margin) *
 * (width + 2 margin) floats. ------------------------------------------------------------------------------------------ */

static void within_map_images(void *out, const void *in, const void *upstream, int64_t begin, int64_t images, int64_t height,
                              int64_t width, int64_t maps, int64_t size, float k, float alpha, float twice, int is_bf16,
                              float *work) {
    const int64_t margin = size / 2, line = (width + 2 * margin) * LANES, values = (height + 2 * margin) * line;
    float *RESTRICT squares = work, *RESTRICT down = work + values, *RESTRICT sums = work + 2 * values, *RESTRICT scaled = work + 3 * values;
    memset(work, 0, 4 * values * sizeof(float));
    for (int64_t image = begin; image < images; image++)
        for (int64_t map = 0; map < maps; map += LANES) {
            const int64_t lanes = maps - map < LANES ? maps - map : LANES;
            float x[LANES] = {0}, g[LANES] = {0};
            /* the pixel (row, column) is at `place` in sums, and at place + middle in squares */
            const int64_t middle = margin * line + margin * LANES;
#define EACH_PIXEL                                                                              \
    for (int64_t row = 0; row < height; row++)                                                  \
        for (int64_t column = 0, place = row * line, at = ((image * height + row) * width) * maps + map; column < width; \
             column++, place += LANES, at += maps)
            EACH_PIXEL {
                load(x, in, at, lanes, is_bf16);
                for (int l = 0; l < LANES; l++) squares[place + middle + l] = x[l] * x[l];
            }
            window(down, squares, height * line, size, line);
            window(sums, down, height * line - 2 * margin * LANES, size, LANES);
            if (!upstream) {
                EACH_PIXEL {
                    load(x, in, at, lanes, is_bf16);
                    for (int l = 0; l < LANES; l++) x[l] = power(sums[place + l] * alpha + k) * x[l];
                    store(out, at, x, lanes, is_bf16);
                }
                continue;
            }
            EACH_PIXEL {
                load(x, in, at, lanes, is_bf16);
                load(g, upstream, at, lanes, is_bf16);
                for (int l = 0; l < LANES; l++) {
                    const float scale = sums[place + l] * alpha + k;
                    const float own = power(scale) * g[l];
                    scaled[place + l] = own;
                    squares[place + middle + l] = own * x[l] / scale;
                }
            }
            window(down, squares, height * line, size, line);
            window(sums, down, height * line - 2 * margin * LANES, size, LANES);
            EACH_PIXEL {
                load(x, in, at, lanes, is_bf16);
                for (int l = 0; l < LANES; l++) x[l] = fmaf(sums[place + l] * x[l], -twice, scaled[place + l]);
                store(out, at, x, lanes, is_bf16);
            }
        }
}

/* Returns 0, or 1 if there was no memory. */
int within_map(void *out, const void *in, const void *upstream, int64_t images, int64_t height, int64_t width, int64_t maps,
               int64_t size, float k, float alpha, float twice, int is_bf16, int threads) {
    const int64_t margins = 2 * (size / 2), values = 4 * LANES * (height + margins) * (width + margins);
    float *work = malloc(threads * values * sizeof(float));
    if (!work) return 1;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int part = 0; part < threads; part++)
        within_map_images(out, in, upstream, images * part / threads, images * (part + 1) / threads, height, width, maps, size, k,
                          alpha, twice, is_bf16, work + part * values);
    free(work);
    return 0;
}

/* ---- Pools of square windows that are cut off at the lower and right edge (ceil mode, no padding). 16 maps of one pixel are
 * computed at a time; if 16 does not divide their number, the last 16 overlap those before. Gradients are gathered: each input
 * sums over the windows that hold it, in the order of their outputs, rounding after each addition, as torch's kernels do. ------ */

INLINE words widened(const void *from, int64_t width) { /* sixteen unsigned numbers of 1 or 2 bytes */
    words wide;
#ifdef __AVX512F__
    wide = (words)(width == 1 ? _mm512_cvtepu8_epi32(_mm_loadu_si128(from)) : _mm512_cvtepu16_epi32(_mm256_loadu_si256(from)));
#else
    for (int i = 0; i < 16; i++) wide[i] = width == 1 ? ((const uint8_t *)from)[i] : ((const uint16_t *)from)[i];
#endif
    return wide;
}

INLINE void put_narrowed(void *to, words wide, int64_t width) {
#ifdef __AVX512F__
    if (width == 1)
        _mm_storeu_si128(to, _mm512_cvtepi32_epi8((__m512i)wide));
    else
        _mm256_storeu_si256(to, _mm512_cvtepi32_epi16((__m512i)wide));
#else
    for (int i = 0; i < 16; i++)
        if (width == 1)
            ((uint8_t *)to)[i] = wide[i];
        else
            ((uint16_t *)to)[i] = wide[i];
#endif
}

INLINE floats sixteen(const void *from, int64_t at, int is_bf16) {
    if (is_bf16) return (floats)(widened((const uint16_t *)from + at, 2) << 16);
    floats values;
    memcpy(&values, (const float *)from + at, sizeof values);
    return values;
}

INLINE void put_sixteen(void *to, int64_t at, floats values, int is_bf16) {
    if (is_bf16)
        put_narrowed((uint16_t *)to + at, (words)values >> 16, 2);
    else
        memcpy((float *)to + at, &values, sizeof values);
}

/* Rounds to bfloat16 like to_bf16. The lower half of every NaN must be zero, as it is for sums of bfloat16. */
INLINE floats rounded(floats values, int is_bf16) {
    const words bits = (words)values;
    return is_bf16 ? (floats)((bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u) : values;
}

INLINE floats choose(ints mask, floats yes, floats no) { return (floats)((mask & (ints)yes) | (~mask & (ints)no)); }

#define EACH_16_MAPS for (int64_t done = 0, map = 0; done < maps; done += 16, map = done + 16 <= maps ? done : maps - 16)
#define LESS(a, b) ((a) < (b) ? (a) : (b))

INLINE void pool_images(void *out, uint8_t *positions, const void *in, int64_t begin, int64_t images, int64_t height, int64_t width,
                        int64_t maps, int64_t rows, int64_t columns, int64_t window, int64_t stride, int is_max, int is_bf16) {
    for (int64_t image = begin; image < images; image++)
        for (int64_t row = 0; row < rows; row++)
            for (int64_t column = 0; column < columns; column++) {
                const int64_t top = row * stride, left = column * stride, to = ((image * rows + row) * columns + column) * maps;
                const int64_t high = LESS(window, height - top), wide = LESS(window, width - left);
                const int64_t from = ((image * height + top) * width + left) * maps;
                EACH_16_MAPS {
                    floats best = sixteen(in, from + map, is_bf16);
                    words position = {0};
                    if (!is_max) best += 0.0f; /* sums start at 0 */
                    for (int64_t y = 0; y < high; y++)
                        for (int64_t x = y ? 0 : 1; x < wide; x++) {
                            const floats value = sixteen(in, from + (y * width + x) * maps + map, is_bf16);
                            if (is_max) { /* the first of equal values, the last NaN */
                                const ints better = (value > best) | (value != value);
                                best = choose(better, value, best);
                                position = (words)choose(better, (floats)(position * 0 + (uint32_t)(y * window + x)), (floats)position);
                            } else {
                                best += value;
                            }
                        }
                    if (!is_max) best = rounded(best / (float)(high * wide), is_bf16);
                    put_sixteen(out, to + map, best, is_bf16);
                    if (is_max) put_narrowed(positions + to + map, position, 1);
                }
            }
}

/* Computes the gradient of each input: the sum of what each window that holds it gives it. */
INLINE void unpool_images(void *out, const uint8_t *positions, const void *upstream, float *shares, int64_t begin, int64_t images,
                          int64_t height, int64_t width, int64_t maps, int64_t rows, int64_t columns, int64_t window, int64_t stride,
                          int is_max, int is_bf16) {
    int64_t from[LARGEST_POOL * LARGEST_POOL];
    uint32_t position[LARGEST_POOL * LARGEST_POOL];
    for (int64_t image = begin; image < images; image++) {
        const int64_t first = image * rows * columns * maps;
        for (int64_t row = 0, at = 0; !is_max && row < rows; row++)
            for (int64_t column = 0; column < columns; column++, at += maps) {
                const float area = LESS(window, height - row * stride) * LESS(window, width - column * stride);
                EACH_16_MAPS put_sixteen(shares, at + map, rounded(sixteen(upstream, first + at + map, is_bf16) / area, is_bf16), 0);
            }
        for (int64_t y = 0; y < height; y++) {
            const int64_t first_row = y < window ? 0 : (y - window) / stride + 1;
            for (int64_t x = 0, first_column = 0; x < width; x++) {
                int count = 0;
                while (first_column * stride + window <= x) first_column++; /* the first window that holds x */
                for (int64_t row = first_row; row < rows && row * stride <= y; row++)
                    for (int64_t column = first_column; column < columns && column * stride <= x; column++) {
                        from[count] = (row * columns + column) * maps;
                        position[count++] = (y - row * stride) * window + x - column * stride;
                    }
                EACH_16_MAPS {
                    floats sum = {0};
                    for (int i = 0; i < count; i++) {
                        floats share;
                        if (is_max) {
                            const words found = widened(positions + first + from[i] + map, 1);
                            share = (floats)((ints)sixteen(upstream, first + from[i] + map, is_bf16) & (found == position[i]));
                        } else {
                            share = sixteen(shares, from[i] + map, 0);
                        }
                        sum = i ? rounded(sum + share, is_bf16) : sum + share;
                    }
                    put_sixteen(out, ((image * height + y) * width + x) * maps + map, sum, is_bf16);
                }
            }
        }
    }
}

/* `positions`: the place of each maximum in its window, counted by rows; null for the average. */
void pool(void *out, uint8_t *positions, const void *in, int64_t images, int64_t height, int64_t width, int64_t maps, int64_t rows,
          int64_t columns, int64_t window, int64_t stride, int is_bf16, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int part = 0; part < threads; part++) {
        const int64_t begin = images * part / threads, end = images * (part + 1) / threads;
#define POOL(is_max, is_bf16) \
    pool_images(out, positions, in, begin, end, height, width, maps, rows, columns, window, stride, is_max, is_bf16)
        if (is_bf16)
            positions ? POOL(1, 1) : POOL(0, 1);
        else
            positions ? POOL(1, 0) : POOL(0, 0);
    }
}

/* `shares`, for the average: a buffer of rows * columns * maps floats for each thread. */
void unpool(void *out, const uint8_t *positions, const void *upstream, float *shares, int64_t images, int64_t height, int64_t width,
            int64_t maps, int64_t rows, int64_t columns, int64_t window, int64_t stride, int is_bf16, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int part = 0; part < threads; part++) {
        const int64_t begin = images * part / threads, end = images * (part + 1) / threads;
        float *own = shares + part * rows * columns * maps;
#define UNPOOL(is_max, is_bf16) \
    unpool_images(out, positions, upstream, own, begin, end, height, width, maps, rows, columns, window, stride, is_max, is_bf16)
        if (is_bf16)
            positions ? UNPOOL(1, 1) : UNPOOL(0, 1);
        else
            positions ? UNPOOL(1, 0) : UNPOOL(0, 0);
    }
}

/* ---- The update rule of 2012 (optimizer.py): velocities and weights in one pass, rounded where torch's four passes round. ----- */

void paper_sgd(float *RESTRICT weights, float *RESTRICT velocities, const float *RESTRICT gradients, int64_t count, float momentum,
               float decay, float rate, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t i = 0; i < count; i++) {
        float velocity = velocities[i] * momentum;
        if (decay != 0) velocity = fmaf(weights[i], decay, velocity);
        velocities[i] = velocity = fmaf(gradients[i], rate, velocity);
        weights[i] += velocity;
    }
}
