/* Expected values by hand. */
#include "ir/op.h"

extern const tn_case tn_einsum_cases[];
const tn_case tn_einsum_cases[] = {
    {.problem = "Einsum{equation=\"ij,jk->ik\"} f32[2,2]={1,2,3,4} f32[2,2]={1,10,100,1000}",
     .expect = "f32[2,2]={201,2010,403,4030}"},
    {.problem = "Einsum{equation=\"ba\"} f32[2,3]={1,2,3,4,5,6}",
     .expect = "f32[3,2]={1,4,2,5,3,6}"},
    {.problem = "Einsum{equation=\"...ii->...i\"} i32[2,2,2]={1,2,3,4,5,6,7,8}",
     .expect = "i32[2,2]={1,4,5,8}"},
    {.problem = "Einsum{equation=\"i, i\"} i64[2]={9007199254740993,1} i64[2]={1,2}",
     .expect = "i64={9007199254740995}"},
    {.problem = "Einsum{equation=\"ij->i\"} f32[2,3]={1,2,3,4,5,6}", .expect = "f32[2]={6,15}"},
    {.problem = "Einsum{equation=\"->\"} f32={5}", .expect = "f32={5}"},
    {.problem =
         "Einsum{equation=\"...a,a...->...\"} f32[2,1,2]={1,2,3,4} f32[2,3]={1,2,3,10,20,30}",
     .expect = "f32[2,3]={21,42,63,43,86,129}"},
    {.problem = "Einsum{equation=\"bhqd,bhkd->bhqk\"} f32[2,3,5,8] f32[2,3,7,8]"},
    {.problem = "Einsum{equation=\"bij,bjk\"} f16[2,3,4] f16[2,4,5]"},
    {.problem = "Einsum{equation=\"ij,jk->ik\"} f64[2,0] f64[0,3]"},
    {.problem = NULL},
};
