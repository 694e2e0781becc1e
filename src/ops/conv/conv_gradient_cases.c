#include "ir/op.h"

/* Expected values by pencil: each element of dY adds W into dX, and X under its window into dW. */
extern const tn_case tn_conv_data_gradient_cases[];
const tn_case tn_conv_data_gradient_cases[] = {
    {.problem = "ConvDataGradient f32[1,1,3]={1,2,3} f32[1,1,2]={1,10} f32[1,1,4]",
     .expect = "f32[1,1,4]={1,12,23,30}"},
    {.problem = "ConvDataGradient{strides=[2], pads=[1,0]} f32[1,1,2]={1,2} f32[1,1,2]={1,10} "
                "f32[1,1,4]",
     .expect = "f32[1,1,4]={10,2,20,0}"},
    {.problem = "ConvDataGradient f32[1,0,3]={} f32[0,2,2]={} f32[1,2,4]",
     .expect = "f32[1,2,4]={0,0,0,0,0,0,0,0}"},
    {.problem = "ConvDataGradient f32[3,50,8,8] f32[50,20,5,5] f32[3,20,12,12]"},
    {.problem = "ConvDataGradient{pads=[1,0,2,1], strides=[2,3], dilations=[1,2], group=2} "
                "f32[2,6,5,3] f32[6,2,3,3] f32[2,4,9,11]"},
    {.problem = "ConvDataGradient{auto_pad=SAME_UPPER, strides=[2]} f32[2,3,4] f32[3,2,3] "
                "f32[2,2,7]"},
    {.problem = "ConvDataGradient f32[1,3,2,3,4] f32[3,2,2,2,2] f32[1,2,3,4,5]"},
    {.problem = "ConvDataGradient{pads=[1,1,1,1]} f32[2,33,6,6] f32[33,17,3,3] f32[2,17,6,6]"},
    {.problem = "ConvDataGradient f64[1,3,3,3] f64[3,2,2,2] f64[1,2,4,4]"},
    {.problem = "ConvDataGradient f16[1,3,3,3] f16[3,2,2,2] f16[1,2,4,4]"},
    {.problem = "ConvDataGradient f32[0,3,3,3] f32[3,2,2,2] f32[0,2,4,4]"},
    {0},
};

extern const tn_case tn_conv_weight_gradient_cases[];
const tn_case tn_conv_weight_gradient_cases[] = {
    {.problem = "ConvWeightGradient f32[1,1,4]={1,2,3,4} f32[1,1,3]={1,10,100} f32[1,1,2]",
     .expect = "f32[1,1,2]={321,432}"},
    {.problem = "ConvWeightGradient{strides=[2], pads=[1,0]} f32[1,1,4]={1,2,3,4} "
                "f32[1,1,2]={1,10} f32[1,1,2]",
     .expect = "f32[1,1,2]={20,31}"},
    {.problem = "ConvWeightGradient f32[3,20,12,12] f32[3,50,8,8] f32[50,20,5,5]"},
    {.problem = "ConvWeightGradient f32[5,1,28,28] f32[5,20,24,24] f32[20,1,5,5]"},
    {.problem = "ConvWeightGradient{pads=[1,0,2,1], strides=[2,3], dilations=[1,2], group=2} "
                "f32[2,4,9,11] f32[2,6,5,3] f32[6,2,3,3]"},
    {.problem = "ConvWeightGradient{auto_pad=SAME_UPPER, strides=[2]} f32[2,2,7] f32[2,3,4] "
                "f32[3,2,3]"},
    {.problem = "ConvWeightGradient f32[1,2,3,4,5] f32[1,3,2,3,4] f32[3,2,2,2,2]"},
    {.problem = "ConvWeightGradient f64[1,2,4,4] f64[1,3,3,3] f64[3,2,2,2]"},
    {.problem = "ConvWeightGradient f16[1,2,4,4] f16[1,3,3,3] f16[3,2,2,2]"},
    {.problem = "ConvWeightGradient f32[0,1,4] f32[0,1,3] f32[1,1,2]",
     .expect = "f32[1,1,2]={0,0}"},
    {0},
};
