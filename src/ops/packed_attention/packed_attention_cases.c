/* Expected values by hand: keys of zero give even probabilities, the mean of the values. */
#include "ir/op.h"

#define X8(x) x x x x x x x x
#define X70(x) X8(X8(x)) x x x x x x

extern const tn_case tn_packed_attention_cases[];
const tn_case tn_packed_attention_cases[] = {
    /* One head of size 1, rows (q, k, v). */
    {.problem = "PackedAttention{heads=1} f32[1,2,3]={1,0,2, 1,0,4}", .expect = "f32[1,2,1]={3,3}"},
    /* Two heads: q and k of both come before the values. */
    {.problem = "PackedAttention{heads=2} f32[1,2,6]={1,1,0,0,2,10, 1,1,0,0,4,30}",
     .expect = "f32[1,2,2]={3,20,3,20}"},
    /* Scores 2 and 0 at scale 1: e^2 / (e^2 + 1) = 0.880797; at scale 0.5: 0.7310586. */
    {.problem = "PackedAttention{heads=1, scale=1} f32[1,2,3]={1,2,1, 0,0,0}",
     .expect = "f32[1,2,1]={0.880797,0.5}"},
    {.problem = "PackedAttention{heads=1, scale=0.5} f32[1,2,3]={1,2,1, 0,0,0}",
     .expect = "f32[1,2,1]={0.7310586,0.5}"},
    /* A mask over keys, one over queries and keys; a query that sees nothing; what is not seen may
     * be anything. */
    {.problem = "PackedAttention{heads=1} f32[1,3,3]={1,0,2, 1,0,4, 1,0,9} f32[3]={0,0,-inf}",
     .expect = "f32[1,3,1]={3,3,3}"},
    {.problem = "PackedAttention{heads=1} f32[1,2,3]={1,0,2, 1,0,4} f32[2,2]={0,-inf,-inf,-inf}",
     .expect = "f32[1,2,1]={2,0}"},
    {.problem = "PackedAttention{heads=1} f32[1,2,3]={1,0,2, 1,nan,inf} f32[2]={0,-inf}",
     .expect = "f32[1,2,1]={2,2}"},
    /* A difference of 100 is below what a probability can show. */
    {.problem = "PackedAttention{heads=1} f32[1,2,3]={1,0,2, 1,0,4} f32[1,1,1,2]={0,-100}",
     .expect = "f32[1,2,1]={2,2}"},
    /* Masks of two windows take turns over four batches. */
    {.problem = "PackedAttention{heads=1} f32[4,2,3]={0,0,1,0,0,3, 0,0,1,0,0,3, 0,0,5,0,0,7, "
                "0,0,5,0,0,7} f32[2,1,1,2]={0,-inf,-inf,0}",
     .expect = "f32[4,2,1]={1,1,3,3,5,5,7,7}"},
    /* A bias of its own for each head: log 3 makes weights 3:1. */
    {.problem = "PackedAttention{heads=2} f32[1,1,6]={0,0,0,0,7,8} none f32[2,1,1]={1,2}",
     .expect = "f32[1,1,2]={7,8}"},
    {.problem = "PackedAttention{heads=1} f32[1,2,3]={0,0,4, 0,0,8} none "
                "f32[1,1,2,2]={0,1.0986123,0,0}",
     .expect = "f32[1,2,1]={7,6}"},
    {.problem = "PackedAttention{heads=1} f32[1,2,3]={0,0,4, 0,0,8} f32[2]={0,-inf} "
                "f32[1,2,2]={0,1.0986123,0,0}",
     .expect = "f32[1,2,1]={4,4}"},
    /* Where the first keys are far below those that come later, and the other way round. */
    {.problem = "PackedAttention{heads=2} f32[2,300,384]", .lo = -3, .hi = 3},
    {.problem = "PackedAttention{heads=2, scale=4} f32[1,150,192]", .lo = -3, .hi = 3},
    {.problem = "PackedAttention{heads=12} f32[1,17,2304] f32[1,1,1,17]"},
    {.problem = "PackedAttention{heads=12} f32[2,130,2304] f32[2,1,1,130]", .lo = -2, .hi = 2},
    {.problem = "PackedAttention{heads=3} f32[8,49,288] f32[4,1,49,49] f32[1,3,49,49]"},
    {.problem = "PackedAttention{heads=3} f32[4,49,288] none f32[3,49,49]"},
    {.problem = "PackedAttention{heads=1} f32[3,49,48] f32[49,49] f32[1,49,49]"},
    {.problem = "PackedAttention{heads=2} f32[2,5,18] f32[2,2,5,5]"},
    {.problem = "PackedAttention{heads=2} f32[2,5,18] f32[2,1,5,1]"},
    {.problem = "PackedAttention{heads=1} f32[1,40,390]"},
    {.problem = "PackedAttention{heads=1} f32[1,70,768]"},
    {.problem = "PackedAttention{heads=2} f32[1,9,1560]"},
    /* What tensor cores take: a key that is not seen may be anything there too. */
    {.problem = "PackedAttention{heads=1} f16[1,2,48]={"
                "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,2,2,2,2,2,2,2,"
                "2,2,2,2,2,2,2,2,2,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,nan,nan,nan,nan,nan,nan,nan,"
                "nan,nan,nan,nan,nan,nan,nan,nan,nan,inf,inf,inf,inf,inf,inf,inf,inf,inf,inf,"
                "inf,inf,inf,inf,inf,inf} "
                "f16[2]={0,-inf}",
     .expect = "f16[1,2,16]={"
               "2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2}"},
    {.problem = "PackedAttention{heads=1} f32[1,2,24]={"
                "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,2,2,2,2,2,2,2,2,0,0,0,0,0,0,0,0,nan,nan,nan,"
                "nan,nan,nan,nan,nan,inf,inf,inf,inf,inf,inf,inf,inf} "
                "f32[2]={0,-inf}",
     .expect = "f32[1,2,8]={"
               "2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2}"},
    {.problem = "PackedAttention{heads=12} f16[1,200,2304] f16[1,1,1,200]", .lo = -2, .hi = 2},
    {.problem = "PackedAttention{heads=2} f16[2,130,384] f16[2,1,1,130]", .lo = -2, .hi = 2},
    {.problem = "PackedAttention{heads=2, scale=0.5} bf16[2,77,192]", .lo = -2, .hi = 2},
    {.problem = "PackedAttention{heads=1} f16[3,300,384] f16[300]", .lo = -2, .hi = 2},
    {.problem = "PackedAttention{heads=2} bf16[1,33,480] bf16[1,1,1,33]"},
    {.problem = "PackedAttention{heads=2} f32[2,150,192] f32[2,1,1,150]", .lo = -2, .hi = 2},
    {.problem = "PackedAttention{heads=2} f16[2,7,48] f16[7]"},
    {.problem = "PackedAttention{heads=2} bf16[1,7,48]"},
    /* Several tiles of keys; batches of which nobody sees anything, or every other key. */
    {.problem = "PackedAttention{heads=2} f16[20,67,192] f16[20,1,1,67]", .lo = -2, .hi = 2},
    {.problem = "PackedAttention{heads=2} bf16[2,257,384] bf16[257]", .lo = -2, .hi = 2},
    {.problem = "PackedAttention{heads=1, scale=2} f16[2,513,192]", .lo = -2, .hi = 2},
    {.problem = "PackedAttention{heads=1} f16[2,190,288] f16[2,1,1,190]", .lo = -3, .hi = 3},
    {.problem = "PackedAttention{heads=2} f16[2,70,192] f16[2,1,1,70]={" X70("-inf,") //
     X8("0,-inf,0,-inf,0,-inf,0,-inf,") "0,-inf,0,-inf,0,-inf}"},
    {.problem = "PackedAttention{heads=2} bf16[2,70,192] bf16[2,1,1,70]={" X70("-3e38,") //
     X8(X8("-1e30,")) "0,0,-1,-1,-3e38,0}"},
    {.problem = "PackedAttention{heads=2} f64[1,7,48] none f64[2,7,7]"},
    {.problem = "PackedAttention{heads=2} f32[0,7,48]"},
    {.problem = "PackedAttention{heads=2} f32[2,0,48]"},
    {.problem = "PackedAttention{heads=2} f32[2,3,0]"},
    {.problem = NULL},
};
