#include "ir/op.h"

extern const tn_case tn_quantized_conv_cases[];
const tn_case tn_quantized_conv_cases[] = {
    {.problem = "QuantizedConv u8[1,2,1]={3,5} f32={0.5} u8={1} u8[2,1,1]={2,4} f32[2]={2,1} "
                "u8[2]={0,0} f32={2} u8={10} i32[2]={4,-4}",
     .expect = "u8[1,2,2]={14,11,16,13}"},
    /* The same, and to 2 (y - 10) is added 0.5 (more + 1), in steps of 4 around 1. */
    {.problem = "QuantizedConv u8[1,2,1]={3,5} f32={0.5} u8={1} u8[2,1,1]={2,4} f32[2]={2,1} "
                "u8[2]={0,0} f32={2} u8={10} i32[2]={4,-4} i8[1,2,2]={15,-1,127,-128} f32={0.5} "
                "i8={-1} f32={4} u8={1}",
     .expect = "u8[1,2,2]={5,1,20,0}"},
    {.problem = "QuantizedConv{pads=[1,1,1,1], strides=[2,2]} u8[2,15,13,8] f32={0.02} u8={120} "
                "i8[12,3,3,8]! f32={0.01}! i8={0}! f32={0.4} u8={128} i32[12]",
     .lo = -128,
     .hi = 256,
     .tolerance = 1e-9},
    {.problem = "QuantizedConv{pads=[1,1,1,1]} u8[1,14,14,64] f32={0.02}! u8={120}! i8[64,3,3,64]! "
                "f32[64]! i8={0}! f32={40}! u8={128}! i32[64]! u8[1,14,14,64] f32={3}! u8={7}! "
                "f32={40}! u8={0}!",
     .lo = -128,
     .hi = 256,
     .tolerance = 1e-9},
    {.problem = "QuantizedConv u8[1,7,7,256] f32={0.02}! u8={0}! i8[200,1,1,256]! f32={0.01}! "
                "i8={0}! f32={2}! i8={-3}!",
     .lo = -128,
     .hi = 256,
     .tolerance = 1e-9},
    {.problem =
         "QuantizedConv{strides=[2,2]} u8[2,14,13,36] f32={0.02}! u8={9}! i8[70,1,1,36]! f32[70]! "
         "i8={0}! f32={40}! i8={-3}! i32[70]! i8[2,7,7,70] f32={3}! i8={7}! f32={4}! i8={-90}!",
     .lo = -128,
     .hi = 256,
     .tolerance = 1e-9},
    {.problem = "QuantizedConv{x_first=1, pads=[3,3,3,3], strides=[2,2]} u8[2,3,30,29] f32={0.02} "
                "u8={110} i8[65,7,7,3]! f32[65] i8={0} f32={300} u8={0} i32[65]",
     .lo = -99,
     .hi = 127,
     .tolerance = 1e-9},
    {.problem = "QuantizedConv{x_first=1, strides=[1,3], dilations=[2,1]} i8[1,2,12,20] f32={0.02} "
                "i8={3} i8[5,3,2,2]! f32[5] i8={0} f32={3} i8={0}",
     .lo = -99,
     .hi = 127,
     .tolerance = 1e-9},
    {.problem =
         "QuantizedConv{group=2, dilations=[2,3], pads=[1,2,3,4]} i8[1,9,20,10] f32={0.1} i8={-7} "
         "u8[26,2,3,5]! f32={0.1} u8[26] f32={4} i8={1} i32[26]",
     .lo = -128,
     .hi = 256,
     .tolerance = 1e-9},
    {.problem = "QuantizedConv{group=6, auto_pad=SAME_UPPER} i8[1,10,11,6] f32={0.03} i8={-4} "
                "u8[6,3,3,1] f32[6] u8[6] f32={0.5} i8={3}",
     .lo = 0,
     .hi = 127,
     .tolerance = 1e-9},
    {.problem = "QuantizedConv{group=80, pads=[1,1,1,1], strides=[2,2]} u8[2,9,12,80] f32={0.03}! "
                "u8={4}! i8[80,3,3,1]! f32[80]! i8[80]! f32={2}! u8={3}! i32[80]!",
     .lo = -128,
     .hi = 256,
     .tolerance = 1e-9},
    {.problem = "QuantizedConv u8[1,5,14,520] f32={0.02} u8={128} u8[31,1,2,520]! f32={0.01} "
                "u8={128} f32={3} u8={128} i32[31]",
     .hi = 256,
     .tolerance = 1e-9},
    /* Every tenth sum is next to the middle of two integers, then every second. */
    {.problem =
         "QuantizedConv i8[1,30,31,2] f32={0.1} i8={0} i8[5,1,1,2]! f32={1} i8={0} f32={1} i8={0}",
     .lo = -16,
     .hi = 16,
     .tolerance = 1e-9},
    {.problem =
         "QuantizedConv u8[1,30,31,4] f32={0.25} u8={3} i8[40,1,1,4]! f32={1} i8={0} f32={1} "
         "u8={3} i32[40] i8[1,30,31,40] f32={0.5} i8={9} f32={1} i8={-7}",
     .lo = -16,
     .hi = 16,
     .tolerance = 1e-9},
    {.problem = "QuantizedConv i8[3,50,8] f32={0.1} i8={-7} i8[5,4,8] f32={inf} i8={1} f32={4} "
                "i8={1}",
     .lo = -128,
     .hi = 128},
    {.problem = "QuantizedConv i8[1,5,8] f32={1e-30} i8={0} i8[5,1,8]! f32={1e-30} i8={0} "
                "f32={1e30} i8={1} i32[5]={2000000000,-2000000000,1,-1,0} i8[1,5,5] f32={1e-35} "
                "i8={3} f32={1e-36} i8={-100}",
     .lo = -128,
     .hi = 128,
     .tolerance = 1e-9},
    {.problem = "QuantizedConv{pads=[1,1]} u8[0,5,8] f32={1} u8={0} i8[5,3,8]! f32={1} i8={0} "
                "f32={1} u8={1}"},
    {0},
};
