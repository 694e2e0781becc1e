/* Expected values by hand: keys of zero give even probabilities, the mean of the values. */
#include "ir/op.h"

extern const tn_case tn_window_attention_cases[];
const tn_case tn_window_attention_cases[] = {
    /* Windows of one row and two columns: each token has the mean of its window. */
    {.problem = "WindowAttention{heads=1, window=[1,2]} "
                "f32[1,2,4,3]={0,0,1, 0,0,3, 0,0,5, 0,0,7, 0,0,2, 0,0,4, 0,0,6, 0,0,8}",
     .expect = "f32[1,2,4,1]={2,2,6,6,3,3,7,7}"},
    /* Moved by one column the last and the first are together ... */
    {.problem = "WindowAttention{heads=1, window=[1,2], shift=[0,1]} "
                "f32[1,1,4,3]={0,0,1, 0,0,3, 0,0,5, 0,0,7}",
     .expect = "f32[1,1,4,1]={4,4,4,4}"},
    /* ... and kept apart by the mask. */
    {.problem = "WindowAttention{heads=1, window=[1,2], shift=[0,1], mask=-100} "
                "f32[1,1,4,3]={0,0,1, 0,0,3, 0,0,5, 0,0,7}",
     .expect = "f32[1,1,4,1]={1,4,4,7}"},
    /* By rows and columns: the corner window holds four tokens of four regions. */
    {.problem = "WindowAttention{heads=1, window=[2,2], shift=[1,1], mask=-100} "
                "f32[1,4,4,3]={0,0,1, 0,0,2, 0,0,3, 0,0,4, 0,0,5, 0,0,6, 0,0,7, 0,0,8, "
                "0,0,9, 0,0,10, 0,0,11, 0,0,12, 0,0,13, 0,0,14, 0,0,15, 0,0,16}",
     .expect = "f32[1,4,4,1]={1,2.5,2.5,4, 7,8.5,8.5,10, 7,8.5,8.5,10, 13,14.5,14.5,16}"},
    /* Two heads, and a bias of log 3 that makes weights 3:1 for one of them. */
    {.problem = "WindowAttention{heads=2, window=[1,2]} f32[1,1,2,6]={0,0,0,0,4,10, 0,0,0,0,8,30} "
                "f32[2,2,2]={1.0986123,0,1.0986123,0,0,0,0,0}",
     .expect = "f32[1,1,2,2]={5,20,5,20}"},
    /* Swin's. */
    {.problem = "WindowAttention{heads=3, window=[7,7]} f32[1,14,14,288] f32[1,3,49,49]",
     .lo = -2,
     .hi = 2},
    {.problem = "WindowAttention{heads=3, window=[7,7], shift=[3,3], mask=-100} f32[2,14,21,288] "
                "f32[3,49,49]",
     .lo = -2,
     .hi = 2},
    {.problem = "WindowAttention{heads=6, window=[7,7], shift=[3,3], mask=-100} f32[1,7,7,576] "
                "f32[1,6,49,49]"},
    {.problem = "WindowAttention{heads=2, window=[8,8], shift=[4,4], mask=-100} f32[1,16,16,192] "
                "f32[2,64,64]"},
    {.problem = "WindowAttention{heads=1, window=[12,12], shift=[6,6], mask=-100, scale=0.5} "
                "f32[1,24,12,96] f32[1,144,144]"},
    {.problem = "WindowAttention{heads=2, window=[7,7], shift=[3,3], mask=-100} f32[1,14,7,96]"},
    {.problem = "WindowAttention{heads=1, window=[7,7]} f32[1,7,7,192] f32[1,49,49]"},
    {.problem = "WindowAttention{heads=2, window=[4,3], shift=[2,0], mask=-100} f32[3,8,6,30] "
                "f32[2,12,12]"},
    {.problem = "WindowAttention{heads=1, window=[3,4], shift=[0,1]} f32[1,6,8,129]"},
    {.problem = "WindowAttention{heads=3, window=[7,7], shift=[3,3], mask=-100} f16[1,14,14,288] "
                "f16[3,49,49]"},
    {.problem = "WindowAttention{heads=3, window=[7,7], shift=[3,3], mask=-100} f16[2,14,14,144] "
                "f16[1,3,49,49]"},
    /* Many windows, and not a multiple of those of a block. */
    {.problem = "WindowAttention{heads=2, window=[2,2], shift=[1,1], mask=-100} f16[9,22,22,96] "
                "f16[2,4,4]"},
    {.problem = "WindowAttention{heads=1, window=[2,2], shift=[1,1], mask=-100} f32[9,22,22,24]"},
    {.problem = "WindowAttention{heads=8, window=[3,2]} bf16[5,33,22,384] bf16[8,6,6]"},
    {.problem = "WindowAttention{heads=2, window=[7,7]} bf16[1,14,7,192] bf16[2,49,49]"},
    {.problem = "WindowAttention{heads=2, window=[7,7]} bf16[1,7,7,384]"},
    {.problem = "WindowAttention{heads=2, window=[8,8], shift=[4,4], mask=-100} f16[1,16,16,192] "
                "f16[2,64,64]"},
    {.problem = "WindowAttention{heads=1, window=[12,12], shift=[6,6], mask=-100} f16[1,12,12,96] "
                "f16[1,144,144]"},
    {.problem = "WindowAttention{heads=2, window=[2,3], shift=[1,1], mask=-100} f16[2,4,6,30] "
                "f16[2,6,6]"},
    {.problem = "WindowAttention{heads=2, window=[2,2], shift=[1,1], mask=-100} f64[1,4,4,30]"},
    {.problem = "WindowAttention{heads=2, window=[2,2]} f32[0,4,4,30]"},
    {.problem = "WindowAttention{heads=2, window=[2,2]} f32[1,0,4,30]"},
    {.problem = "WindowAttention{heads=2, window=[2,2]} f32[1,4,4,0]"},
    {.problem = NULL},
};
