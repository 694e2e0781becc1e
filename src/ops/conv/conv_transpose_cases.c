#include "ir/op.h"

extern const tn_case tn_conv_transpose_cases[];
const tn_case tn_conv_transpose_cases[] = {
    {.problem = "ConvTranspose f32[1,1,3]={1,2,3} f32[1,1,2]={1,10}",
     .expect = "f32[1,1,4]={1,12,23,30}"},
    {.problem =
         "ConvTranspose{strides=[2]} f32[1,1,2]={1,2} f32[1,2,2]={1,10,100,1000} f32[2]={0,5}",
     .expect = "f32[1,2,4]={1,10,2,20,105,1005,205,2005}"},
    {.problem = "ConvTranspose{strides=[2], pads=[1,0], output_padding=[1]} f32[1,1,2]={1,2} "
                "f32[1,1,3]={1,10,100}",
     .expect = "f32[1,1,5]={10,102,20,200,0}"},
    {.problem = "ConvTranspose{strides=[2], output_shape=[5]} f32[1,1,3]={1,2,3} f32[1,1,2]={1,10}",
     .expect = "f32[1,1,5]={10,2,20,3,30}"},
    {.problem = "ConvTranspose{strides=[2], auto_pad=SAME_UPPER} f32[1,1,2]={1,2} "
                "f32[1,1,3]={1,10,100}",
     .expect = "f32[1,1,4]={1,10,102,20}"},
    {.problem = "ConvTranspose{dilations=[2]} f32[1,1,2]={1,2} f32[1,1,2]={1,10}",
     .expect = "f32[1,1,4]={1,2,10,20}"},
    {.problem =
         "ConvTranspose{strides=[2,3], pads=[1,0,1,2], group=2} f32[2,4,5,6] f32[4,3,3,4] f32[6]"},
    {.problem = "ConvTranspose f32[1,2,2,3,4] f32[2,3,2,2,2]"},
    {.problem = "ConvTranspose{group=2, strides=[2,3], dilations=[2,1], pads=[1,2,0,1]} "
                "f32[2,6,7,5] f32[6,4,3,3]! f32[8]!"},
    {.problem = "ConvTranspose f16[1,2,4,4] f16[2,3,2,2]"},
    {.problem = "ConvTranspose f64[1,2,4,4] f64[2,3,2,2] f64[3]"},
    {0},
};
