/* PyTorch's random stream and initial values, against numbers that PyTorch 2.11 has given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "train/parameter.h"

static void uniform_values_of_seed_0(void **state)
{
    (void)state;
    static const float want[] = {0.49625658988952637F, 0.7682217955589294F,  0.08847743272781372F,
                                 0.13203048706054688F, 0.30742281675338745F, 0.6340786814689636F};
    float got[6];
    tn_torch_random random;
    tn_torch_random_seed(&random, 0);
    tn_torch_random_uniform(&random, 0, 1, got, 6);
    for (int i = 0; i < 6; i++) assert_true(got[i] == want[i]);
}

static void only_the_low_bits_of_a_seed_count(void **state)
{
    (void)state;
    tn_torch_random a, b;
    tn_torch_random_seed(&a, 7);
    tn_torch_random_seed(&b, (UINT64_C(5) << 32) + 7);
    for (int i = 0; i < 2000; i++) assert_true(tn_torch_random_u32(&a) == tn_torch_random_u32(&b));
}

/* The C library's logarithm and cosine may differ from PyTorch's vectorised ones by the last bit.
 */
static void expect_near(const float *got, const float *want, int count)
{
    for (int i = 0; i < count; i++) assert_float_equal(got[i], want[i], 1e-6);
}

static void few_normal_values_come_in_pairs(void **state)
{
    (void)state;
    static const float want[] = {1.5409960746765137F, -0.293428897857666F,  -2.1787893772125244F,
                                 0.5684312582015991F, -1.0845223665237427F, -1.3985954523086548F};
    float got[6];
    tn_torch_random random;
    tn_torch_random_seed(&random, 0);
    tn_torch_random_normal(&random, got, 1); /* the second of a pair waits for the next call */
    tn_torch_random_normal(&random, got + 1, 5);
    expect_near(got, want, 6);
}

static void many_normal_values_come_in_blocks(void **state)
{
    (void)state;
    static const float want[] = {
        -1.1258398294448853F, -1.152360200881958F,  -0.2505785822868347F, -0.4338788092136383F,
        0.5988394618034363F,  -1.5550950765609741F, -0.3413603901863098F, 1.85300612449646F,
        0.46809640526771545F, -0.1577124446630478F, 1.4436601400375366F,  0.26604941487312317F,
        1.3893661499023438F,  1.586334228515625F,   0.946298360824585F,   -0.843676745891571F,
        0.9318265914916992F,  1.2590092420578003F,  2.0049805641174316F,  0.05373690277338028F};
    float got[20];
    tn_torch_random random;
    tn_torch_random_seed(&random, 0);
    tn_torch_random_normal(&random, got, 20);
    expect_near(got, want, 20);
}

static void permutation_of_seed_3(void **state)
{
    (void)state;
    static const int64_t want[] = {6, 0, 3, 7, 8, 5, 1, 9, 2, 4};
    int64_t got[10];
    tn_torch_random random;
    tn_torch_random_seed(&random, 3);
    assert_null(tn_torch_random_permute(&random, got, 10));
    assert_memory_equal(got, want, sizeof(want));
    assert_null(tn_torch_random_permute(&random, NULL, 0));
    assert_int_equal(tn_status_code(tn_torch_random_permute(&random, got, INT64_C(1) << 40)),
                     TN_UNSUPPORTED);
}

/* ---- Initial values --------------------------------------------------------------------------*/

enum { PARAMETERS_MAX = 100 };

typedef struct network {
    tn_parameter parameter[PARAMETERS_MAX];
    char name[PARAMETERS_MAX][64];
    int32_t count;
    int64_t values;
} network;

static void add(network *n, const char *name, int rank, const int64_t *dim)
{
    tn_parameter *p = &n->parameter[n->count];
    snprintf(n->name[n->count], sizeof(n->name[0]), "%s", name);
    *p = (tn_parameter){.name = n->name[n->count++], .rank = rank, .count = 1};
    for (int i = 0; i < rank; i++) p->count *= p->dim[i] = dim[i];
    p->offset = n->values;
    n->values += p->count;
}

static void add_layer(network *n, const char *layer, int rank, const int64_t *dim)
{
    char name[64];
    snprintf(name, sizeof(name), "%s.weight", layer);
    add(n, name, rank, dim);
    snprintf(name, sizeof(name), "%s.bias", layer);
    add(n, name, 1, dim);
}

static float *begin(const network *n, uint64_t seed)
{
    tn_torch_random random;
    float *values = test_malloc((size_t)n->values * sizeof(float));
    tn_torch_random_seed(&random, seed);
    assert_null(tn_parameters_begin(n->parameter, n->count, &random, values));
    return values;
}

/* nn.LSTM(10, 20, 10, bidirectional=True) after manual_seed(0), all 94,400 of it. */
static void lstm_of_ten_layers(void **state)
{
    (void)state;
    network n = {0};
    for (int layer = 0; layer < 10; layer++)
        for (int way = 0; way < 2; way++) {
            static const char *const kind[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
            for (int i = 0; i < 4; i++) {
                char name[64];
                const int64_t dim[] = {80, i == 1 ? 20 : layer == 0 ? 10 : 40};
                snprintf(name, sizeof(name), "%s_l%d%s", kind[i], layer, way ? "_reverse" : "");
                add(&n, name, i < 2 ? 2 : 1, dim);
            }
        }
    assert_int_equal(n.values, 94400);
    float *values = begin(&n, 0);
    static const float first[] = {-0x1.b6db36p-10F, 0x1.eb533ep-4F, -0x1.78e92cp-3F,
                                  -0x1.510558p-3F};
    static const float last[] = {0x1.13ad7p-7F, 0x1.679612p-3F, -0x1.e1287cp-5F};
    assert_memory_equal(values, first, sizeof(first));
    assert_memory_equal(values + 94400 - 3, last, sizeof(last));
    /* Every bit of them: the sum of the words that they are. */
    uint64_t sum = 0;
    for (int64_t i = 0; i < n.values; i++) {
        uint32_t word;
        memcpy(&word, &values[i], sizeof(word));
        sum += word;
    }
    assert_true(sum == UINT64_C(198805413251919));
    test_free(values);
}

/* A narrow AlexNet after manual_seed(0): the first element of each weight and bias. */
static void convolutions_and_linear_layers(void **state)
{
    (void)state;
    network n = {0};
    add_layer(&n, "features.0", 4, (int64_t[]){8, 3, 11, 11});
    add_layer(&n, "features.3", 4, (int64_t[]){24, 8, 5, 5});
    add_layer(&n, "features.6", 4, (int64_t[]){48, 24, 3, 3});
    add_layer(&n, "features.8", 4, (int64_t[]){32, 48, 3, 3});
    add_layer(&n, "features.10", 4, (int64_t[]){32, 32, 3, 3});
    add_layer(&n, "classifier.1", 2, (int64_t[]){64, 1152});
    add_layer(&n, "classifier.4", 2, (int64_t[]){64, 64});
    add_layer(&n, "classifier.6", 2, (int64_t[]){1000, 64});
    static const float want[] = {
        -0x1.9c0b5ep-12F, 0x1.219a9ap-7F,  0x1.61f132p-5F,  -0x1.16e302p-4F,
        -0x1.aedf18p-5F,  0x1.0dd8dcp-4F,  -0x1.c8a894p-7F, 0x1.3163fp-6F,
        -0x1.17ff66p-5F,  -0x1.0f17c2p-7F, 0x1.380a1ep-6F,  -0x1.43c36ep-7F,
        0x1.4118f4p-4F,   0x1.37428p-5F,   -0x1.55d458p-4F, 0x1.7a4fccp-4F};
    float *values = begin(&n, 0);
    for (int32_t i = 0; i < n.count; i++) assert_true(values[n.parameter[i].offset] == want[i]);
    test_free(values);
}

static void what_has_no_rule_is_named(void **state)
{
    (void)state;
    network n = {0};
    tn_torch_random random;
    float values[16];
    tn_torch_random_seed(&random, 0);
    add(&n, "norm.weight", 1, (int64_t[]){4});
    tn_status status = tn_parameters_begin(n.parameter, n.count, &random, values);
    assert_int_equal(tn_status_code(status), TN_UNSUPPORTED);
    assert_non_null(strstr(tn_status_message(status), "norm.weight"));
    n = (network){0};
    add(&n, "lstm.weight_ih_l0", 2, (int64_t[]){4, 2});
    assert_int_equal(tn_status_code(tn_parameters_begin(n.parameter, n.count, &random, values)),
                     TN_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uniform_values_of_seed_0),
        cmocka_unit_test(only_the_low_bits_of_a_seed_count),
        cmocka_unit_test(few_normal_values_come_in_pairs),
        cmocka_unit_test(many_normal_values_come_in_blocks),
        cmocka_unit_test(permutation_of_seed_3),
        cmocka_unit_test(lstm_of_ten_layers),
        cmocka_unit_test(convolutions_and_linear_layers),
        cmocka_unit_test(what_has_no_rule_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
