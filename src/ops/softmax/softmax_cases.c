/* Expected values by hand; logarithms from NumPy. */
#include "ir/op.h"

#define SHAPES(name)                                                                               \
    {.problem = name "{axis=0} f32[7,3]"}, {.problem = name "{axis=1} f32[2,5,3]"},                \
        {.problem = name " f32[64,197]", .lo = -20, .hi = 20}, {.problem = name " f16[3,65]"},     \
    {                                                                                              \
        .problem = name " f64[3,0]"                                                                \
    }

extern const tn_case tn_softmax_cases[];
const tn_case tn_softmax_cases[] = {
    {.problem = "Softmax f32[2]={0,0}", .expect = "f32[2]={0.5,0.5}"},
    {.problem = "Softmax f32[1,3]={1000,1000,1000}",
     .expect = "f32[1,3]={0.33333334,0.33333334,0.33333334}"},
    {.problem = "Softmax{axis=0} f32[2,1]={-inf,3}", .expect = "f32[2,1]={0,1}"},
    SHAPES("Softmax"),
    {.problem = NULL},
};

extern const tn_case tn_log_softmax_cases[];
const tn_case tn_log_softmax_cases[] = {
    {.problem = "LogSoftmax f32[2]={0,0}", .expect = "f32[2]={-0.6931472,-0.6931472}"},
    {.problem = "LogSoftmax f32[1,2]={1000,0}", .expect = "f32[1,2]={0,-1000}"},
    SHAPES("LogSoftmax"),
    {.problem = NULL},
};

extern const tn_case tn_hardmax_cases[];
const tn_case tn_hardmax_cases[] = {
    {.problem = "Hardmax f32[2,3]={1,3,3,-1,-2,-3}", .expect = "f32[2,3]={0,1,0,1,0,0}"},
    {.problem = "Hardmax{axis=0} f32[2,2]={1,3,2,0}", .expect = "f32[2,2]={0,1,1,0}"},
    SHAPES("Hardmax"),
    {.problem = NULL},
};
