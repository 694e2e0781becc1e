/* Expected values by hand. */
#include "ir/op.h"

extern const tn_case tn_mean_variance_normalization_cases[];
const tn_case tn_mean_variance_normalization_cases[] = {
    {.problem = "MeanVarianceNormalization f32[1,2,1,2]={1,3,5,5}",
     .expect = "f32[1,2,1,2]={-1,1,0,0}"},
    {.problem = "MeanVarianceNormalization{axes=[-1]} f32[2,2]={0,4,10,12}",
     .expect = "f32[2,2]={-1,1,-1,1}"},
    {.problem = "MeanVarianceNormalization f32[2,3,5,7]"},
    {.problem = "MeanVarianceNormalization{axes=[0,1]} f16[4,9]"},
    {.problem = "MeanVarianceNormalization{axes=[1]} f64[2,0]"},
    {.problem = NULL},
};
