/* Expected values by hand: rows of -1 and 1 are their own norm. */
#include "ir/op.h"

extern const tn_case tn_linear_norm_linear_cases[];
const tn_case tn_linear_norm_linear_cases[] = {
    /* H is {2, 4} and {5, 3}, of which norms are {-1, 1} and {1, -1}; scale 2, shift 1. */
    {.problem = "LinearNormLinear{activation=relu, epsilon=0} f32[2,1]={1,2} f32[1,2]={1,2} "
                "f32[2]={1,1} f32[2,2]={0,1, 2,-2} f32[2]={2,2} f32[2]={1,1} f32[2,2]={1,2, 1,0} "
                "f32[2]={5,0} -> 3",
     .expect = "f32[2,2]={7,0, 7,6} f32[2,2]={-1,3, 3,-1} f32[2,2]={2,4, 5,3}"},
    {.problem = "LinearNormLinear{epsilon=0} f32[1,1,1]={1} f32[1,2]={3,1} none none f32[2]={1,3} "
                "none f32[2,1]={1,1}",
     .expect = "f32[1,1,1]={-2}"},
    {.problem = "LinearNormLinear f32[7,24] f32[24,40]! f32[40]! f32[7,40] f32[40]! f32[40]! "
                "f32[40,56]! f32[56]! -> 3"},
    /* BERT's, both halves of a layer. */
    {.problem = "LinearNormLinear{activation=gelu, epsilon=1e-12} f16[1,200,768] f16[768,768]! "
                "f16[768]! f16[1,200,768] f16[768]! f16[768]! f16[768,3072]! f16[3072]! -> 2"},
    {.problem = "LinearNormLinear bf16[200,1024] bf16[1024,768]! bf16[768]! bf16[200,768] "
                "bf16[768]! bf16[768]! bf16[768,768]! bf16[768]! -> 3"},
    {.problem = "LinearNormLinear f32[128,768] f32[768,256]! f32[256]! f32[128,256] f32[256]! "
                "f32[256]! f32[256,512]! f32[512]! -> 2"},
    /* Some that end inside tiles, steps and parts of rows. */
    {.problem = "LinearNormLinear{activation=gelu} f16[70,520] f16[520,200]! f16[200]! f16[70,200] "
                "f16[200]! f16[200]! f16[200,408]! f16[408]! -> 3"},
    {.problem = "LinearNormLinear f16[3,31,520] f16[520,72]! none none f16[72]! none f16[72,130]! "
                "none -> 2"},
    {.problem = "LinearNormLinear{activation=tanh} bf16[3,97,512] bf16[512,136]! none "
                "bf16[3,97,136] bf16[136]! bf16[136]! bf16[136,250]! bf16[250]!"},
    {.problem = "LinearNormLinear f32[45,256] f32[256,100]! f32[100]! none f32[100]! f32[100]! "
                "f32[100,250]! f32[250]! -> 2"},
    {.problem = "LinearNormLinear f16[130,512] f16[512,512]! f16[512]! f16[130,512] f16[512]! "
                "f16[512]! f16[512,128]! f16[128]!"},
    /* Rows far from zero, and none. */
    {.problem = "LinearNormLinear f16[64,256] f16[256,256]! f16[256]! f16[64,256] f16[256]! "
                "f16[256]! f16[256,256]! f16[256]! -> 2",
     .lo = 0,
     .hi = 0.1},
    {.problem = "LinearNormLinear f16[0,64] f16[64,64]! f16[64]! none f16[64]! f16[64]! "
                "f16[64,64]! f16[64]! -> 2"},
    {.problem = "LinearNormLinear f64[3,4] f64[4,5] f64[5] f64[3,5] f64[5] f64[5] f64[5,7] f64[7] "
                "-> 3"},
    {.problem = "LinearNormLinear f32[3,0] f32[0,2] none none f32[2] none f32[2,2] f32[2]"},
    {.problem = NULL},
};
