/* Shapes and values that would lead a kernel out of its tensors: refused, never read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ops/reference.h"

static const char *const refused[] = {
    "Attention f32[2,1,2,4] f32[1,1,2,4] f32[2,1,2,4]",
    "Attention f32[1,3,2,4] f32[1,2,2,4] f32[1,2,2,4]",
    "Attention f32[1,1,2,4] f32[1,1,2,4] f32[1,1,2,4] f32[3,2]",
    "Attention f32[1,1,2,4] f32[1,1,2,4] f32[1,1,2,4] none f32[1,1,3,4] f32[1,1,2,4]",
    "Attention f32[2,1,2,4] f32[2,1,2,4] f32[2,1,2,4] none none none i64[1]={1}",
    "Attention{q_num_heads=3, kv_num_heads=1} f32[1,2,4] f32[1,2,4] f32[1,2,4]",
    "RotaryEmbedding f32[1,1,3,4] f32[1,2,2] f32[1,2,2]",
    "RotaryEmbedding f32[1,1,3,4] f32[5,2] f32[4,2] i64[1,3]={4,4,4}",
    "RotaryEmbedding f32[1,1,1,4] f32[5,2] f32[5,2] i64[1,1]={5}",
    "LinearAttention{q_num_heads=1, kv_num_heads=1, update_rule=linear} f32[1,3,2] f32[1,2,2] "
    "f32[1,3,2]",
    "LinearAttention{q_num_heads=1, kv_num_heads=1, update_rule=linear} f32[1,3,2] f32[1,3,2] "
    "f32[1,3,2] "
    "f32[1,1,2,1]",
    "CausalConvWithState f32[1,2,3] f32[2,1,3] none f32[1,2,1]",
    "CausalConvWithState f32[1,2,3] f32[2,1,0]",
    "DFT f32[1,4,1] i64[0]={}",
    "DFT f32[1,4,1] i64={4} i64={2}",
    "STFT f32[1,4,1] i64={0} none i64={2}",
    "STFT f32[1,4,1] i64={1} f32[3] i64={2}",
    "MelWeightMatrix i64={4} i64={8} i64={0} f32={0} f32={100}",
    "GridSample f32[2,1,2,2] f32[1,3,3,2]",
    "GridSample f32[1,1,2,2] f32[1,3,3,3]",
    "AffineGrid f32[1,3,4] i64[4]={1,1,2,2}",
    "RoiAlign f32[1,1,2,2] f32[2,4] i64[1]={0}",
    "RoiAlign f32[1,1,2,2] f32[1,4]={0,0,1,1} i64[1]={1}",
    "MaxRoiPool{pooled_shape=[1,1]} f32[1,1,2,2] f32[1,5]={1,0,0,1,1}",
    "DeformConv f32[2,1,3,3] f32[1,1,2,2] f32[1,8,2,2]",
    "DeformConv f32[1,1,3,3] f32[1,1,2,2] f32[1,8,2,2] f32[2]",
    "NonMaxSuppression f32[1,3,4] f32[1,1,4] i64={1}",
    "TfIdfVectorizer{mode=TF, max_skip_count=0, min_gram_length=1, max_gram_length=1} i64[2]={1,2} "
    "i64[1]={1} i64[1]={0} i64[1]={-1}",
    "ArrayFeatureExtractor f32[1,2]={1,2} i64[1]={2}",
    "Scaler f32[1,3]={1,2,3} f32[2]={1,2}",
    "LabelEncoder i64[1]={1} i64[1]={1} i64[1]={1} i64[0]={}",
    "LinearRegressor f32[1,3]={1,2,3} f32[2]={1,2}",
    "TreeEnsemble f32[1,1]={0} i64[1,6]={3,0,-1,-1,0,0} f32[1]={1} i64[2]={0,1} i64[1]={0} "
    "f32[1]={1} i64[1]={0}",
    "TreeEnsemble f32[1,1]={0} i64[1,6]={0,0,-9,-9,0,0} f32[1]={1} i64[2]={0,1} i64[1]={0} "
    "f32[1]={1} i64[1]={0}",
    "TreeEnsemble f32[1,1]={0} i64[1,6]={0,0,-1,-1,0,0} f32[1]={1} i64[2]={0,1} i64[1]={7} "
    "f32[1]={1} i64[1]={0}",
    "ConvTranspose f32[1,1,3] f32[1,2,2] f32[3]",
    "MaxUnpool{kernel_shape=[2]} f32[1,1,3] i64[0]",
    "QLinearConv u8[1,1,2] f32={0.5} u8={1} u8[2,1,1] f32[3] u8[2] f32={2} u8={10}",
    "QLinearConv u8[1,1,2] f32[2] u8={1} u8[2,1,1] f32[2] u8[2] f32={2} u8={10}",
    "ConvInteger u8[1,1,2] u8[2,1,1] u8={1} u8[3]",
    "QuantizeLinear f32[1,2] f32={2} i8[0]={}",
    "DequantizeLinear i8[1,2] f32={2} i8[0]={}",
    "QLinearMatMul u8[1,2] f32[0] u8={1} u8[2,1] f32={2} u8={0} f32={4} u8={0}",
    "Dropout f32[2] f32={0.5} bool[0]",
    "ReduceMax{keepdims=0} f32[2,3] i64[2]={1,-1}",
};

static tn_status attempt(const char *text, tn_arena *arena)
{
    tn_problem p;
    TN_TRY(tn_problem_parse(text, arena, &p));
    for (int i = 0; i < p.in_count; i++) {
        tn_tensor *t = &p.in[i];
        if (t->dtype == TN_DTYPE_NONE || t->data) continue;
        t->data = tn_arena_alloc(arena, (size_t)tn_tensor_bytes(t));
        TN_CHECK(t->data, TN_OUT_OF_MEMORY, "no memory for an input");
    }
    TN_TRY(tn_problem_infer(&p, arena));
    return tn_problem_run_reference(&p, arena);
}

static void each_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < TN_COUNT(refused); i++) {
        tn_arena arena;
        tn_arena_init(&arena);
        tn_status status = attempt(refused[i], &arena);
        if (!status) fail_msg("accepted: %s", refused[i]);
        if (tn_status_code(status) != TN_INVALID)
            fail_msg("%s: %s", refused[i], tn_status_message(status));
        tn_arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
