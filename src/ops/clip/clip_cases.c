/* Expected values by hand. */
#include "ir/op.h"

extern const tn_case tn_clip_cases[];
const tn_case tn_clip_cases[] = {
    {.problem = "Clip f32[5]={-2,-0.5,0,0.5,nan} f32={-1} f32={0.25}",
     .expect = "f32[5]={-1,-0.5,0,0.25,nan}"},
    {.problem = "Clip f32[3]={-2,0,2} f32={1} f32={-1}", .expect = "f32[3]={-1,-1,-1}"},
    {.problem = "Clip f32[2]={-2,2} none f32={1}", .expect = "f32[2]={-2,1}"},
    {.problem = "Clip f32[2]={-2,2} f32={0}", .expect = "f32[2]={0,2}"},
    {.problem = "Clip i8[3]={-128,0,127} i8={-5} i8={5}", .expect = "i8[3]={-5,0,5}"},
    {.problem = "Clip u64[2]={18446744073709551615,3} u64={5} u64={9}", .expect = "u64[2]={9,5}"},
    {.problem = "Clip i64[2]={9007199254740993,-1} i64={0}",
     .expect = "i64[2]={9007199254740993,0}"},
    {.problem = "Clip f32[3,65] f32={0} f32={6}", .lo = -9, .hi = 9},
    {.problem = "Clip f16[2,9] f16[1]={-1} f16[1]={1}", .lo = -9, .hi = 9},
    {.problem = "Clip f64[0]"},
    {.problem = NULL},
};
