/* Expected values by hand. */
#include "ir/op.h"

extern const tn_case tn_eye_like_cases[];
const tn_case tn_eye_like_cases[] = {
    {.problem = "EyeLike f32[2,3]", .expect = "f32[2,3]={1,0,0,0,1,0}"},
    {.problem = "EyeLike{dtype=f64, k=1} i32[3,3]", .expect = "f64[3,3]={0,1,0,0,0,1,0,0,0}"},
    {.problem = "EyeLike{dtype=bool, k=-1} f16[2,2]", .expect = "bool[2,2]={0,0,1,0}"},
    {.problem = "EyeLike{k=9} f32[2,2]", .expect = "f32[2,2]={0,0,0,0}"},
    {.problem = "EyeLike f32[0,3]"},
    {.problem = NULL},
};
