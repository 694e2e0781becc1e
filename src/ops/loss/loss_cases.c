/* Expected values by hand (the first from the ONNX specification's examples); logarithms from
 * NumPy. */
#include "ir/op.h"

#define X "f32[2,3,2]={1,2,2,2,3,2,0,1,2,2,1,2} i64[2,2]={2,1,0,2}"
#define SHAPES(name)                                                                               \
    {.problem = name " f32[4,5] i64[4]", .lo = 0, .hi = 5},                                        \
        {.problem = name "{reduction=none} f32[2,5,3,2] i32[2,3,2]", .lo = 0, .hi = 5},            \
        {.problem = name "{ignore_index=2} f32[2,5,3] i64[2,3] f32[5]", .lo = 0, .hi = 5},         \
    {                                                                                              \
        .problem = name "{reduction=sum} f16[0,5] i64[0]"                                          \
    }

extern const tn_case tn_negative_log_likelihood_loss_cases[];
const tn_case tn_negative_log_likelihood_loss_cases[] = {
    {.problem = "NegativeLogLikelihoodLoss{reduction=none} " X, .expect = "f32[2,2]={-3,-2,0,-2}"},
    {.problem = "NegativeLogLikelihoodLoss{reduction=sum} " X " f32[3]={0.2,0.3,0.1}",
     .expect = "f32={-1.1}"},
    {.problem = "NegativeLogLikelihoodLoss " X " f32[3]={0.2,0.3,0.1}",
     .expect = "f32={-1.5714285}"},
    {.problem = "NegativeLogLikelihoodLoss{ignore_index=2} " X, .expect = "f32={-1}"},
    SHAPES("NegativeLogLikelihoodLoss"),
    {.problem = NULL},
};

extern const tn_case tn_softmax_cross_entropy_loss_cases[];
const tn_case tn_softmax_cross_entropy_loss_cases[] = {
    {.problem = "SoftmaxCrossEntropyLoss{reduction=none} f32[2,2]={0,0,1000,0} i64[2]={0,1}",
     .expect = "f32[2]={0.6931472,1000}"},
    {.problem = "SoftmaxCrossEntropyLoss{ignore_index=-1} f32[2,2]={0,0,1000,0} i64[2]={0,-1}",
     .expect = "f32={0.6931472}"},
    {.problem = "SoftmaxCrossEntropyLoss f32[2,2]={0,0,8,8} i64[2]={0,1} f32[2]={1,3} -> 2",
     .expect = "f32={0.6931472} f32[2,2]={-0.6931472,-0.6931472,-0.6931472,-0.6931472}"},
    SHAPES("SoftmaxCrossEntropyLoss"),
    {.problem = NULL},
};
