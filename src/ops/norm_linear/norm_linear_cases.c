/* Expected values by hand: rows of -1 and 1 are their own norm. */
#include "ir/op.h"

extern const tn_case tn_norm_linear_cases[];
const tn_case tn_norm_linear_cases[] = {
    /* scale 2, shift 1: {3, -1} and {-1, 3}; W sums them, or takes the first twice; relu. */
    {.problem = "NormLinear{activation=relu, epsilon=0} f32[2,2]={1,-1, -1,1} f32[2]={2,2} "
                "f32[2]={1,1} f32[2,2]={1,2, 1,0} f32[2]={5,0} -> 2",
     .expect = "f32[2,2]={7,6, 7,0} f32[2,2]={3,-1, -1,3}"},
    {.problem = "NormLinear{epsilon=0} f32[1,1,2]={1,-1} f32[2]={1,3} none f32[2,1]={1,1}",
     .expect = "f32[1,1,1]={-2}"},
    {.problem = "NormLinear f32[7,40] f32[40]! f32[40]! f32[40,56]! f32[56]! -> 2"},
    /* BERT's, and some that end inside tiles and steps. */
    {.problem = "NormLinear f16[1,200,768] f16[768]! f16[768]! f16[768,2304]! f16[2304]! -> 2"},
    {.problem = "NormLinear{activation=gelu} bf16[200,768] bf16[768]! bf16[768]! bf16[768,3072]! "
                "bf16[3072]! -> 2"},
    {.problem = "NormLinear{activation=gelu} f16[70,200] f16[200]! f16[200]! f16[200,408]! "
                "f16[408]! -> 2"},
    {.problem = "NormLinear{activation=gelu, epsilon=0.01} f16[37,72] f16[72]! none f16[72,130]! "
                "none -> 2"},
    {.problem = "NormLinear{activation=tanh} bf16[3,97,136] bf16[136]! bf16[136]! bf16[136,250]! "
                "bf16[250]!"},
    {.problem = "NormLinear{activation=gelu} f32[200,768] f32[768]! f32[768]! f32[768,1024]! "
                "f32[1024]! -> 2"},
    {.problem = "NormLinear f32[45,100] f32[100]! f32[100]! f32[100,150]! f32[150]! -> 2"},
    {.problem = "NormLinear f16[130,512] f16[512]! f16[512]! f16[512,128]! f16[128]!"},
    /* Rows far from zero, of one value, and of none. */
    {.problem = "NormLinear f16[64,256] f16[256]! f16[256]! f16[256,256]! f16[256]! -> 2",
     .lo = 2,
     .hi = 6},
    {.problem = "NormLinear f16[0,64] f16[64]! f16[64]! f16[64,64]! f16[64]! -> 2"},
    {.problem = "NormLinear f64[3,5] f64[5] f64[5] f64[5,7] f64[7] -> 2"},
    {.problem = "NormLinear f32[3,0] f32[0] none f32[0,2] f32[2]"},
    {.problem = NULL},
};
