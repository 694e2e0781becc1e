/* Expected values by hand. */
#include "ir/op.h"

extern const tn_case tn_lp_normalization_cases[];
const tn_case tn_lp_normalization_cases[] = {
    {.problem = "LpNormalization f32[2,2]={3,4,-6,8}", .expect = "f32[2,2]={0.6,0.8,-0.6,0.8}"},
    {.problem = "LpNormalization{axis=0, p=1} f32[2,2]={1,-2,3,2}",
     .expect = "f32[2,2]={0.25,-0.5,0.75,0.5}"},
    {.problem = "LpNormalization f32[2]={0,0}", .expect = "f32[2]={0,0}"},
    {.problem = "LpNormalization{axis=1} f32[2,7,3]"},
    {.problem = "LpNormalization f16[3,65]"},
    {.problem = "LpNormalization f64[3,0]"},
    {.problem = NULL},
};
