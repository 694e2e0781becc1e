/* Expected values by hand. */
#include "ir/op.h"

extern const tn_case tn_det_cases[];
const tn_case tn_det_cases[] = {
    {.problem = "Det f32[2,2]={1,2,3,4}", .expect = "f32={-2}"},
    {.problem = "Det f32[2,3,3]={0,1,0,1,0,0,0,0,2,2,0,0,0,3,0,1,1,4}", .expect = "f32[2]={-2,24}"},
    {.problem = "Det f64[2,2]={1,2,2,4}", .expect = "f64={0}"},
    {.problem = "Det f32[3,2,5,5]", .tolerance = 1e-3},
    {.problem = "Det f16[1,1]"},
    {.problem = "Det f32[2,0,0]", .expect = "f32[2]={1,1}"},
    {.problem = NULL},
};
