#include "ir/op.h"

extern const tn_case tn_conv_cases[];
const tn_case tn_conv_cases[] = {
    {.problem = "Conv f32[1,1,3,3]={1,2,3,4,5,6,7,8,9} f32[1,1,2,2]={1,2,3,4}",
     .expect = "f32[1,1,2,2]={37,47,67,77}"},
    {.problem = "Conv{pads=[1,1]} f32[1,1,3]={1,2,3} f32[2,1,3]={1,10,100,0,1,0} f32[2]={0,0.5}",
     .expect = "f32[1,2,3]={210,321,32,1.5,2.5,3.5}"},
    {.problem = "Conv{auto_pad=SAME_UPPER, strides=[2]} f32[1,1,4]={1,2,3,4} f32[1,1,3]={1,10,100}",
     .expect = "f32[1,1,2]={321,43}"},
    {.problem = "Conv{auto_pad=SAME_LOWER, strides=[2]} f32[1,1,4]={1,2,3,4} f32[1,1,3]={1,10,100}",
     .expect = "f32[1,1,2]={210,432}"},
    {.problem = "Conv{dilations=[2], pads=[0,1]} f32[1,1,4]={1,2,3,4} f32[1,1,2]={1,10}",
     .expect = "f32[1,1,3]={31,42,3}"},
    {.problem = "Conv{group=2} f32[1,2,2]={1,2,3,4} f32[2,1,1]={10,100}",
     .expect = "f32[1,2,2]={10,20,300,400}"},
    {.problem = "Conv{pads=[1,1,1,1]} f32[1,3,17,19] f32[8,3,3,3]! f32[8]!"},
    {.problem = "Conv{pads=[1,1,1,1], strides=[2,2]} f32[2,16,14,14] f32[24,16,3,3]! f32[24]!"},
    {.problem = "Conv{pads=[0,1,2,3], strides=[1,2], dilations=[2,1]} f32[2,5,9,11] f32[7,5,3,4]!"},
    {.problem = "Conv f32[1,64,28,28] f32[64,64,1,1]! f32[64]!"},
    {.problem = "Conv{group=32, pads=[1,1,1,1]} f32[1,32,14,14] f32[32,1,3,3]! f32[32]!"},
    {.problem = "Conv{group=3} f32[2,6,8,8] f32[9,2,3,3] f32[9]"},
    {.problem = "Conv{strides=[4,4]} f32[1,3,32,32] f32[96,3,4,4]! f32[96]!"},
    {.problem = "Conv{pads=[1,1]} f32[3,10,50] f32[20,10,3]! f32[20]!"},
    {.problem = "Conv{pads=[1,0,1,1,0,1], strides=[1,2,1]} f32[1,2,5,6,7] f32[4,2,3,2,3]! f32[4]!"},
    {.problem =
         "Conv{strides=[9,7], dilations=[2,3], pads=[3,0,2,9]} f32[2,3,40,33] f32[5,3,3,4]!"},
    {.problem = "Conv{pads=[40,41], dilations=[45]} f32[1,3,9] f32[4,3,2]!"},
    {.problem = "Conv{pads=[1,1,1,1]} f32[5,48,7,7] f32[96,48,3,3]! f32[96]!"},
    {.problem = "Conv f64[1,2,4,4] f64[3,2,2,2]"},
    {.problem = "Conv f16[1,2,6,6] f16[3,2,3,3] f16[3]"},
    {.problem = "Conv f32[0,2,4,4] f32[3,2,2,2]"},
    {0},
};
