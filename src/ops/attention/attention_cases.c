/* Expected values by hand where keys are all alike (even probabilities), else from NumPy. */
#include "ir/op.h"

#define X8(x) x x x x x x x x
#define X32(x) X8(x) X8(x) X8(x) X8(x)

extern const tn_case tn_attention_cases[];
const tn_case tn_attention_cases[] = {
    /* Even probabilities: the mean of the values that are seen. */
    {.problem = "Attention f32[1,1,2,1]={1,1} f32[1,1,2,1]={0,0} f32[1,1,2,1]={2,4}",
     .expect = "f32[1,1,2,1]={3,3}"},
    {.problem =
         "Attention{is_causal=1} f32[1,1,3,1]={1,1,1} f32[1,1,3,1]={0,0,0} f32[1,1,3,1]={2,4,9}",
     .expect = "f32[1,1,3,1]={2,3,5}"},
    {.problem = "Attention f32[1,1,2,1]={1,1} f32[1,1,3,1]={0,0,0} f32[1,1,3,1]={2,4,9} "
                "bool[2,3]={1,0,1,0,0,0}",
     .expect = "f32[1,1,2,1]={5.5,0}"},
    /* A short mask hides the keys beyond it. */
    {.problem =
         "Attention f32[1,1,1,1]={1} f32[1,1,3,1]={0,0,0} f32[1,1,3,1]={2,4,9} f32[1,2]={0,0}",
     .expect = "f32[1,1,1,1]={3}"},
    /* Two query heads share a key head; 3-D. */
    {.problem = "Attention{q_num_heads=2, kv_num_heads=1} f32[1,1,2]={1,-1} f32[1,2,1]={0,0} "
                "f32[1,2,1]={1,3}",
     .expect = "f32[1,1,2]={2,2}"},
    /* A past of one key: the query stands behind it. */
    {.problem =
         "Attention{is_causal=1} f32[1,1,2,1]={1,1} f32[1,1,2,1]={0,0} f32[1,1,2,1]={2,6} none "
         "f32[1,1,1,1]={0} f32[1,1,1,1]={4} -> 3",
     .expect = "f32[1,1,2,1]={3,4} f32[1,1,3,1]={0,0,0} f32[1,1,3,1]={4,2,6}"},
    /* A cache outside, two of four keys in use, one query: it is the second. */
    {.problem =
         "Attention{is_causal=1} f32[1,1,1,1]={1} f32[1,1,4,1]={0,0,0,0} f32[1,1,4,1]={2,4,nan,8} "
         "none none none i64[1]={2}",
     .expect = "f32[1,1,1,1]={3}"},
    {.problem = "Attention{left_window_size=1, right_window_size=0} f32[1,1,3,1]={1,1,1} "
                "f32[1,1,3,1]={0,0,0} f32[1,1,3,1]={2,4,8}",
     .expect = "f32[1,1,3,1]={2,3,6}"},
    /* Scores 2 and 0 at scale 1: e^2 / (e^2 + 1) = 0.880797. */
    {.problem =
         "Attention{scale=1, qk_matmul_output_mode=3} f32[1,1,1,2]={1,1} f32[1,1,2,2]={1,1,0,0} "
         "f32[1,1,2,1]={1,0} -> 4",
     .expect = "f32[1,1,1,1]={0.880797} f32[1,1,2,2]={1,1,0,0} f32[1,1,2,1]={1,0} "
               "f32[1,1,1,2]={0.880797,0.11920292}"},
    /* softcap 1: tanh(2) = 0.9640276; then the mask is added. */
    {.problem = "Attention{scale=1, softcap=1, qk_matmul_output_mode=2} f32[1,1,1,1]={1} "
                "f32[1,1,2,1]={2,0} f32[1,1,2,1]={5,5} f32[1,2]={1,-1} -> 4",
     .expect =
         "f32[1,1,1,1]={5} f32[1,1,2,1]={2,0} f32[1,1,2,1]={5,5} f32[1,1,1,2]={1.9640276,-1}"},
    {.problem = "Attention f32[2,3,4,8] f32[2,3,6,8] f32[2,3,6,10]"},
    {.problem = "Attention{is_causal=1} f32[1,12,64,64] f32[1,12,64,64] f32[1,12,64,64]"},
    {.problem = "Attention f32[2,4,49,32] f32[2,4,49,32] f32[2,4,49,32] f32[2,1,49,49]"},
    {.problem =
         "Attention{q_num_heads=8, kv_num_heads=2} f32[2,5,128] f32[2,7,32] f32[2,7,48] f32[5,7]"},
    {.problem = "Attention{is_causal=1} f16[1,2,3,16] f16[1,2,3,16] f16[1,2,3,16]"},
    {.problem = "Attention f16[2,4,130,64] f16[2,2,190,64] f16[2,2,190,64]", .lo = -2, .hi = 2},
    {.problem = "Attention{q_num_heads=4, kv_num_heads=2} bf16[2,67,128] bf16[2,99,64] "
                "bf16[2,99,64] bf16[1,1,1,99]"},
    /* The last key is not seen and may be anything. */
    {.problem = "Attention f16[1,1,33,32] f16[1,1,33,32]={" X32(X32("1,")) X8("nan,") X8("nan,") //
     X8("nan,") "nan,nan,nan,nan,nan,nan,nan,nan} f16[1,1,33,32] f16[1,33]={"                    //
     X32("0,") "-inf}"},
    {.problem = "Attention f32[1,2,1,16] f32[1,2,1,16] f32[1,2,1,16] none f32[1,2,19,16] "
                "f32[1,2,19,16] -> 3"},
    {.problem = "Attention f32[1,2,0,4] f32[1,2,3,4] f32[1,2,3,4]"},
    {.problem = "Attention f32[1,2,3,4] f32[1,2,0,4] f32[1,2,0,4]"},
    {.problem = "Attention f32[1,0,3,4] f32[1,0,3,4] f32[1,0,3,4]"},
    {.problem = NULL},
};
