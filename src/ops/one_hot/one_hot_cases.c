/* Expected values by hand. */
#include "ir/op.h"

extern const tn_case tn_one_hot_cases[];
const tn_case tn_one_hot_cases[] = {
    {.problem = "OneHot i64[3]={0,2,-1} i64={3} f32[2]={0,1}",
     .expect = "f32[3,3]={1,0,0,0,0,1,0,0,1}"},
    {.problem = "OneHot{axis=0} i32[2]={1,5} f32[1]={3} i8[2]={-1,7}",
     .expect = "i8[3,2]={-1,-1,7,-1,-1,-1}"},
    {.problem = "OneHot{axis=1} i64[2,2]={0,1,1,0} i64={2} f32[2]={2,5}",
     .expect = "f32[2,2,2]={5,2,2,5,2,5,5,2}"},
    {.problem = "OneHot{axis=-2} u8[4,3] i64={9}! f16[2]", .lo = 0, .hi = 9},
    {.problem = "OneHot i64[0] i64={3}! f32[2]"},
    {.problem = NULL},
};
