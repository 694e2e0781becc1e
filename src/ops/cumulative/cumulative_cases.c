/* Expected values by hand. */
#include "ir/op.h"

#define SHAPES(name)                                                                               \
    {.problem = name " f32[3,65] i64={-1}", .lo = -1, .hi = 1},                                    \
        {.problem = name "{reverse=1} f32[2,7,3] i32[1]={1}", .lo = -1, .hi = 1},                  \
        {.problem = name "{exclusive=1} f16[5,9] i64={0}", .lo = -1, .hi = 1},                     \
    {                                                                                              \
        .problem = name " u32[2,0] i64={1}"                                                        \
    }

extern const tn_case tn_cum_sum_cases[];
const tn_case tn_cum_sum_cases[] = {
    {.problem = "CumSum f32[3]={1,2,3} i64={0}", .expect = "f32[3]={1,3,6}"},
    {.problem = "CumSum{exclusive=1} f32[3]={1,2,3} i64={0}", .expect = "f32[3]={0,1,3}"},
    {.problem = "CumSum{reverse=1} f32[3]={1,2,3} i64={0}", .expect = "f32[3]={6,5,3}"},
    {.problem = "CumSum{exclusive=1, reverse=1} f32[3]={1,2,3} i64={0}",
     .expect = "f32[3]={5,3,0}"},
    {.problem = "CumSum i64[2,2]={1,2,9007199254740992,4} i32={-2}",
     .expect = "i64[2,2]={1,2,9007199254740993,6}"},
    SHAPES("CumSum"),
    {.problem = NULL},
};

extern const tn_case tn_cum_prod_cases[];
const tn_case tn_cum_prod_cases[] = {
    {.problem = "CumProd f32[3]={1,2,3} i64={0}", .expect = "f32[3]={1,2,6}"},
    {.problem = "CumProd{exclusive=1, reverse=1} f32[3]={1,2,3} i64={0}",
     .expect = "f32[3]={6,3,1}"},
    {.problem = "CumProd i32[2,2]={2,3,4,5} i64={1}", .expect = "i32[2,2]={2,6,4,20}"},
    SHAPES("CumProd"),
    {.problem = NULL},
};
