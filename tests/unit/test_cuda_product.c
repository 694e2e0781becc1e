/* What the CUDA backend makes of MatMul, Gemm, Linear and convolutions before any card is asked:
 * one kind of product, whose numbers are evaluated here by plain loops and must give what the
 * operators' references give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "backends/cuda/kernels/product.h"
#include "ops/reference.h"
#include "ops/wide/wide.h"

static void fill(tn_problem *p, tn_arena *arena)
{
    uint64_t state = 12345;
    for (int i = 0; i < p->in_count; i++) {
        tn_tensor *t = &p->in[i];
        if (t->dtype == TN_DTYPE_NONE) continue;
        t->data = tn_arena_alloc(arena, (size_t)tn_tensor_bytes(t) + 1);
        assert_non_null(t->data);
        for (int64_t k = 0; k < tn_tensor_count(t); k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            tn_store_f64(t->dtype, t->data, k, (double)(state >> 40) / 8388608.0 - 1);
        }
    }
}

/* Element (k, n) of b: in memory, or seen through the window. */
static double b_at(const tn_cuda_product *x, const float *b, int64_t k, int64_t n)
{
    const tn_window *w = x->window;
    if (!w) return (double)b[x->b_deep ? n * x->ldb + k : k * x->ldb + n];
    int64_t tap = k % w->kernel_count, place = n % w->out_count, at = k / w->kernel_count;
    const int64_t taps[3] = {tap / w->kernel[2] / w->kernel[1], tap / w->kernel[2] % w->kernel[1],
                             tap % w->kernel[2]};
    const int64_t places[3] = {place / w->out[2] / w->out[1], place / w->out[2] % w->out[1],
                               place % w->out[2]};
    for (int i = 0; i < 3; i++) {
        int64_t in = places[i] * w->stride[i] - w->pad[i] + taps[i] * w->dilation[i];
        if (in < 0 || in >= w->in[i]) return 0;
        at = at * w->in[i] + in;
    }
    return (double)b[n / w->out_count * x->channels * w->in_count + at];
}

static void evaluate(const tn_cuda_product *x, float *y)
{
    for (int64_t index = 0; index < x->count; index++) {
        const float *a = x->a, *b = x->b, *c = x->c, *residual = x->residual;
        for (int64_t i = x->rank - 1, rest = index; i >= 0; rest /= x->dim[i--]) {
            a += rest % x->dim[i] * x->a_step[i];
            b += rest % x->dim[i] * x->b_step[i];
            if (c) c += rest % x->dim[i] * x->c_step[i];
        }
        for (int64_t m = 0; m < x->m; m++) {
            for (int64_t n = 0; n < x->n; n++) {
                double sum = 0;
                int64_t place =
                    x->window ? n / x->window->out_count * x->y_sample + n % x->window->out_count
                              : n;
                int64_t at = index * x->y_batch + m * x->y_row + place;
                for (int64_t k = 0; k < x->k; k++)
                    sum +=
                        (double)a[x->a_deep ? m * x->lda + k : k * x->lda + m] * b_at(x, b, k, n);
                sum *= (double)x->alpha;
                if (c) sum += (double)x->beta * (double)c[m * x->c_row + n * x->c_column];
                if (residual) sum += (double)residual[at];
                y[at] = (float)tn_epilogue_of(&x->epilogue, sum);
            }
        }
    }
}

static void check(const char *text)
{
    tn_arena arena;
    tn_problem p;
    tn_window w;
    tn_cuda_product x;
    tn_arena_init(&arena);
    assert_null(tn_problem_parse(text, &arena, &p));
    fill(&p, &arena);
    assert_null(tn_problem_infer(&p, &arena));
    assert_null(tn_problem_run_reference(&p, &arena));
    const float *want = p.out[0].data;
    int64_t count = tn_tensor_count(&p.out[0]);
    float *y = tn_arena_alloc(&arena, (size_t)count * sizeof *y + 1);
    assert_non_null(y);
    for (int64_t i = 0; i < count; i++) y[i] = NAN;
    if (!strstr(p.op, "Conv")) {
        tn_cuda_product_of(&p, &x);
    } else if (tn_cuda_conv_is_product(&p)) {
        tn_cuda_product_of_conv(&p, &x);
    } else {
        tn_conv_window(&p, 1, &w);
        tn_cuda_product_of_window(&p, &w, &x);
    }
    assert_null(tn_cuda_product_fits(&x));
    /* The last resort takes everything. */
    assert_null(tn_cuda_product_tile_fits(&x, TN_CUDA_TILE_64X64));
    assert_ptr_equal(x.y, want);
    evaluate(&x, y);
    for (int64_t i = 0; i < count; i++)
        if (!(fabs((double)y[i] - (double)want[i]) <= 1e-5 * fmax(1, fabs((double)want[i]))))
            fail_msg("%s: element %lld is %g, expected %g", text, (long long)i, (double)y[i],
                     (double)want[i]);
    tn_arena_fini(&arena);
}

static void test_matmul(void **state)
{
    (void)state;
    check("MatMul f32[5,7] f32[7,9]");
    check("MatMul f32[7] f32[7,9]");
    check("MatMul f32[5,7] f32[7]");
    check("MatMul f32[7] f32[7]");
    check("MatMul f32[2,3,5,7] f32[7,4]");
    check("MatMul f32[2,3,5,7] f32[2,3,7,4]");
    check("MatMul f32[2,1,5,7] f32[3,7,4]");
    check("MatMul f32[5,7] f32[2,3,7,4]");
    check("MatMul f32[2,3,2,5,7] f32[3,1,7,4]");
}

static void test_gemm(void **state)
{
    (void)state;
    check("Gemm f32[5,7] f32[7,9]");
    check("Gemm{transA=1} f32[7,5] f32[7,9] f32[9]");
    check("Gemm{transB=1, alpha=0.5, beta=2} f32[5,7] f32[9,7] f32[5,1]");
    check("Gemm{transA=1, transB=1} f32[7,5] f32[9,7] f32[5,9]");
    check("Gemm f32[5,7] f32[7,9] f32[1,9]");
    check("Gemm f32[5,7] f32[7,9] f32");
    check("Gemm f32[1,7] f32[7,1] f32[1,1]");
}

static void test_linear(void **state)
{
    (void)state;
    check("Linear f32[2,3,7] f32[7,9] f32[9] f32[2,3,9]");
    check("Linear{activation=gelu} f32[7] f32[7,9] none f32[9]");
    check("Linear{activation=clip, alpha=-0.5, beta=0.5} f32[2,7] f32[7,9] f32[9]");
}

static void test_conv(void **state)
{
    (void)state;
    check("Conv f32[2,6,5,4] f32[8,6,1,1] f32[8]");
    check("Conv{group=2} f32[2,6,5] f32[8,3,1] f32[8]");
    check("Conv{pads=[0,1,2,3], strides=[1,2], dilations=[2,1]} f32[2,5,9,11] f32[7,5,3,4]");
    check(
        "Conv{pads=[1,0,1,1,0,1], strides=[1,2,1], group=2} f32[2,4,5,6,7] f32[4,2,3,2,3] f32[4]");
    check("FusedConv{activation=relu, strides=[2]} f32[3,4,9] f32[6,4,1] f32[6] f32[3,6,5]");
    check("FusedConv{activation=relu} f32[3,4,9] f32[6,4,1] f32[6] f32[3,6,9]");
}

static void test_refusals(void **state)
{
    (void)state;
    tn_arena arena;
    tn_problem p;
    tn_cuda_product x;
    tn_arena_init(&arena);
    assert_null(tn_problem_parse("Gemm{alpha=2} i32[2,3] i32[3,4]", &arena, &p));
    assert_null(tn_problem_infer(&p, &arena));
    tn_cuda_product_of(&p, &x);
    assert_non_null(tn_cuda_product_fits(&x)); /* integers are scaled in double */
    assert_null(tn_problem_parse("MatMul f32[64,64] f32[64,64]", &arena, &p));
    assert_null(tn_problem_infer(&p, &arena));
    tn_cuda_product_of(&p, &x);
    assert_non_null(tn_cuda_product_tile_fits(&x, TN_CUDA_TENSOR_64X64));  /* f32 stays f32 */
    assert_non_null(tn_cuda_product_tile_fits(&x, TN_CUDA_TILE_64X64_K4)); /* k is short */
    assert_non_null(tn_cuda_product_rows_fit(&x));
    assert_null(tn_problem_parse("MatMul f16[64,60] f16[60,64]", &arena, &p));
    assert_null(tn_problem_infer(&p, &arena));
    tn_cuda_product_of(&p, &x);
    assert_non_null(tn_cuda_product_tile_fits(&x, TN_CUDA_TENSOR_64X64)); /* 60 % 8 */
    assert_int_equal(tn_cuda_product_scratch(&x, TN_CUDA_TILE_64X64_K4), 4 * 64 * 64 * 4);
    assert_int_equal(tn_cuda_product_vector(8, 24), 8);
    assert_int_equal(tn_cuda_product_vector(8, 20), 4);
    assert_int_equal(tn_cuda_product_vector(4, 7), 1);
    tn_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul),   cmocka_unit_test(test_gemm),
        cmocka_unit_test(test_linear),   cmocka_unit_test(test_conv),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
