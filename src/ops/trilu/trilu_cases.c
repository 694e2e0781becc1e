/* Expected values by hand. */
#include "ir/op.h"

#define X "f32[3,3]={1,2,3,4,5,6,7,8,9}"

extern const tn_case tn_trilu_cases[];
const tn_case tn_trilu_cases[] = {
    {.problem = "Trilu " X, .expect = "f32[3,3]={1,2,3,0,5,6,0,0,9}"},
    {.problem = "Trilu{upper=0} " X, .expect = "f32[3,3]={1,0,0,4,5,0,7,8,9}"},
    {.problem = "Trilu " X " i64={1}", .expect = "f32[3,3]={0,2,3,0,0,6,0,0,0}"},
    {.problem = "Trilu{upper=0} " X " i64={-1}", .expect = "f32[3,3]={0,0,0,4,0,0,7,8,0}"},
    {.problem = "Trilu " X " i64={9}", .expect = "f32[3,3]={0,0,0,0,0,0,0,0,0}"},
    {.problem = "Trilu{upper=0} " X " i64={9}", .expect = "f32[3,3]={1,2,3,4,5,6,7,8,9}"},
    {.problem = "Trilu{upper=0} " X " i64={-9}", .expect = "f32[3,3]={0,0,0,0,0,0,0,0,0}"},
    {.problem = "Trilu bool[2,1,2]={1,1,1,1} i64={1}", .expect = "bool[2,1,2]={0,1,0,1}"},
    {.problem = "Trilu f16[2,5,7]"},
    {.problem = "Trilu{upper=0} i64[3,7,5] i64={-2}"},
    {.problem = "Trilu f32[3,0]"},
    {.problem = NULL},
};
