/* Expected values by hand. */
#include "ir/op.h"

extern const tn_case tn_where_cases[];
const tn_case tn_where_cases[] = {
    {.problem = "Where bool[2,2]={1,0,1,1} f32[2,2]={1,2,3,4} f32[2,2]={9,8,7,6}",
     .expect = "f32[2,2]={1,8,3,4}"},
    {.problem = "Where bool[2,1]={1,0} i64[2]={1,9007199254740993} i64={-1}",
     .expect = "i64[2,2]={1,9007199254740993,-1,-1}"},
    {.problem = "Where bool[2]={1,0} string={\"yes\"} string={\"no\"}",
     .expect = "string[2]={\"yes\",\"no\"}"},
    {.problem = "Where bool[2]={1,0} u8[2]={1,2} u8[2]={3,4}", .expect = "u8[2]={1,4}"},
    {.problem = "Where bool[3,33] f32[3,33] f32", .lo = -1, .hi = 1},
    {.problem = "Where bool[1,5] f16[3,1] f16[2,3,5]", .lo = -1, .hi = 1},
    {.problem = "Where bool f64[7] f64[7]", .lo = -1, .hi = 1},
    {.problem = "Where bool[0] f32[1] f32[1]"},
    {.problem = NULL},
};
