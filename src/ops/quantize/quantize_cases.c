#include "ir/op.h"

extern const tn_case tn_quantize_linear_cases[];
const tn_case tn_quantize_linear_cases[] = {
    {.problem = "QuantizeLinear f32[6]={0,2,3,1000,-254,-1000} f32={2} u8={128}",
     .expect = "u8[6]={128,129,130,255,1,0}"},
    {.problem = "QuantizeLinear f32[4]={0.5,1.5,-0.5,-2.5} f32={1} i8={0}",
     .expect = "i8[4]={0,2,0,-2}"},
    {.problem = "QuantizeLinear{axis=0} f32[2,2]={4,6,4,6} f32[2]={1,2} i8[2]={0,1}",
     .expect = "i8[2,2]={4,6,3,4}"},
    {.problem = "QuantizeLinear{axis=1, block_size=2} f32[1,3]={4,6,9} f32[1,2]={2,3}",
     .expect = "u8[1,3]={2,3,3}"},
    {.problem = "QuantizeLinear{output_dtype=i16} f32[3]={1e9,-1e9,7} f32={2}",
     .expect = "i16[3]={32767,-32768,4}"},
    {.problem = "QuantizeLinear f32[2,5,3] f32[5]={0.1,0.2,0.3,0.4,0.5} u8[5]={0,1,2,3,128}"},
    {.problem = "QuantizeLinear f32[3,1000] f32={0.013} i8={-7}", .lo = -2, .hi = 2},
    {.problem = "QuantizeLinear{axis=-1} f16[7,12] f16[12] i8[12]", .lo = 0.01, .hi = 3},
    {.problem = "QuantizeLinear bf16[5,31] f32={0.25}", .hi = 70},
    {.problem = "QuantizeLinear{precision=f16} f32[67] f32={0.01} u16={1000}",
     .lo = -30,
     .hi = 900},
    {.problem = "QuantizeLinear i32[41] f32={3.5} i16={-5}", .lo = -200000, .hi = 200000},
    {.problem = "QuantizeLinear{axis=0, block_size=3} f32[7,9] f32[3,9] i8[3,9]",
     .lo = 0.1,
     .hi = 9},
    {.problem = "QuantizeLinear f32[4]={nan,inf,-inf,0} f32={1} u8={9}",
     .expect = "u8[4]={9,255,0,9}"},
    {.problem = "QuantizeLinear f32[3]={nan,inf,-inf} f32={2} i8={5}",
     .expect = "i8[3]={5,127,-128}"},
    {.problem = "QuantizeLinear f32[3,2111] f32={0.03} i8={-7}",
     .lo = -5,
     .hi = 5,
     .tolerance = 1e-9},
    {.problem = "QuantizeLinear f32[70,33] f32[33] u8[33]", .lo = 0, .hi = 99, .tolerance = 1e-9},
    {.problem = "QuantizeLinear{axis=-2} f32[2,7,371] f32[7] i8[7]",
     .lo = 1,
     .hi = 9,
     .tolerance = 1e-9},
    {0},
};

extern const tn_case tn_dequantize_linear_cases[];
const tn_case tn_dequantize_linear_cases[] = {
    {.problem = "DequantizeLinear u8[4]={0,3,128,255} f32={2} u8={128}",
     .expect = "f32[4]={-256,-250,0,254}"},
    {.problem = "DequantizeLinear{axis=0} i8[2,2]={1,2,3,4} f32[2]={10,0.5}",
     .expect = "f32[2,2]={10,20,1.5,2}"},
    {.problem =
         "DequantizeLinear{axis=0, block_size=2} i8[3,2]={1,2,3,4,5,6} f32[2,2]={1,10,100,1000} "
         "i8[2,2]={1,0,0,0}",
     .expect = "f32[3,2]={0,20,2,40,500,6000}"},
    {.problem = "DequantizeLinear i32[2]={-5,7} f16={0.5}", .expect = "f16[2]={-2.5,3.5}"},
    {.problem = "DequantizeLinear u8[3,333] f32={0.02} u8={121}", .hi = 256},
    {.problem = "DequantizeLinear{axis=2} i8[2,3,8,5] f32[8] i8[8]", .lo = -128, .hi = 127},
    {.problem = "DequantizeLinear i32[61] f32={0.0003}", .lo = -1e9, .hi = 1e9},
    {.problem = "DequantizeLinear{output_dtype=f16} u16[50] f32={0.01} u16={3000}", .hi = 60000},
    {.problem = "DequantizeLinear i16[9,7] bf16={0.5} i16={-2}", .lo = -900, .hi = 900},
    {.problem = "DequantizeLinear u8[3,2111] f32={0.03} u8={113}", .hi = 256},
    {.problem = "DequantizeLinear i8[2,7,371] f32[7] i8[7]", .lo = -128, .hi = 128},
    {.problem = "DequantizeLinear{axis=0} u8[9,5] f32[9]", .hi = 256},
    {0},
};

extern const tn_case tn_dynamic_quantize_linear_cases[];
const tn_case tn_dynamic_quantize_linear_cases[] = {
    {.problem = "DynamicQuantizeLinear f32[3]={-51,0,204}",
     .expect = "u8[3]={0,51,255} f32={1} u8={51}"},
    {.problem = "DynamicQuantizeLinear f32[2]={255,510}",
     .expect = "u8[2]={128,255} f32={2} u8={0}"},
    {.problem = "DynamicQuantizeLinear f32[2]={0,0}", .expect = "u8[2]={0,0} f32={1} u8={0}"},
    {.problem = "DynamicQuantizeLinear f32[5,1234]", .lo = -3, .hi = 5},
    {.problem = "DynamicQuantizeLinear f32[3,17,1027]", .lo = -0.5, .hi = 900},
    {.problem = "DynamicQuantizeLinear f32[0]"},
    {.problem = "DynamicQuantizeLinear f32[4]={nan,-1,0,254}"},
    {0},
};

extern const tn_case tn_matmul_integer_cases[];
const tn_case tn_matmul_integer_cases[] = {
    {.problem = "MatMulInteger u8[2,2]={1,2,3,4} i8[2,1]={-1,1} u8={1} i8={-1}",
     .expect = "i32[2,1]={2,6}"},
    {.problem = "MatMulInteger u8[2,2]={1,2,3,4} u8[2,2]={1,2,3,4} u8[2]={1,3} u8[2]={0,2}",
     .expect = "i32[2,2]={3,2,3,2}"},
    {.problem = "MatMulInteger u8[2,3,4] i8[2,4,5]"},
    {.problem = "MatMulInteger i8[2,5,9] u8[9,7] i8[5,1] u8[7]", .lo = -128, .hi = 255},
    {.problem = "MatMulInteger u8[67,130] i8[130,70]! u8={113}", .lo = -128, .hi = 255},
    {.problem = "MatMulInteger i8[33,64] i8[64,33]! i8[33] i8[33]", .lo = -128, .hi = 127},
    {.problem = "MatMulInteger u8[3,2,40] u8[3,40,9] u8[3,2,1] u8[3,1,9]", .hi = 256},
    {.problem = "MatMulInteger u8[1,300] u8[300,100]!", .lo = 250, .hi = 256},
    {.problem = "MatMulInteger u8[7] i8[7,3]!", .lo = -128, .hi = 255},
    {.problem = "MatMulInteger u8[0,7] i8[7,3]!"},
    {.problem = "MatMulInteger u8[2,0] i8[0,3]", .expect = "i32[2,3]={0,0,0,0,0,0}"},
    {0},
};

extern const tn_case tn_qlinear_matmul_cases[];
const tn_case tn_qlinear_matmul_cases[] = {
    {.problem = "QLinearMatMul u8[1,2]={3,5} f32={0.5} u8={1} u8[2,1]={2,4} f32={2} u8={0} f32={4} "
                "u8={10}",
     .expect = "u8[1,1]={15}"},
    {.problem = "QLinearMatMul i8[1,1]={100} f32={1} i8={0} i8[1,2]={100,-100} f32[2]={1,0.001} "
                "i8[2]={0,0} f32={1} i8={0}",
     .expect = "i8[1,2]={127,-10}"},
    {.problem = "QLinearMatMul u8[33,100] f32={0.02} u8={120} i8[100,40]! f32={0.01}! i8={-3}! "
                "f32={0.05} u8={128}",
     .hi = 256},
    {.problem = "QLinearMatMul i8[2,3,70] f32={0.02} i8={-5} u8[2,70,33] f32={0.01} u8={120} "
                "f32[3,1]={0.1,0.07,0.06} i8[3,1]={1,2,3}",
     .hi = 256},
    {.problem = "QLinearMatMul u8[2,65] f32[2]={0.02,0.01} u8[2]={120,130} u8[65,3]! "
                "f32[3]={0.01,0.02,0.5} u8[3]={120,0,255} f32={0.1} i8={-7}",
     .hi = 256},
    {0},
};

extern const tn_case tn_quantized_linear_cases[];
const tn_case tn_quantized_linear_cases[] = {
    {.problem =
         "QuantizedLinear u8[1,2]={3,5} f32={0.5} u8={1} u8[2,1]={2,4} f32={2} u8={0} f32={4} "
         "u8={10} i32[1]={-8}",
     .expect = "u8[1,1]={13}"},
    {.problem = "QuantizedLinear u8[1,300] f32={0.02} u8={3} i8[300,70]! f32[70] i8={0} f32={9} "
                "u8={128} i32[70]",
     .lo = -90,
     .hi = 90,
     .tolerance = 1e-9},
    {.problem = "QuantizedLinear i8[2,3,65] f32={0.02} i8={-3} u8[65,33] f32={0.01} u8={120} "
                "f32={0.7} i8={-8} i32[33]",
     .hi = 250,
     .tolerance = 1e-9},
    {0},
};

extern const tn_case tn_quantized_add_cases[];
const tn_case tn_quantized_add_cases[] = {
    {.problem = "QuantizedAdd u8[1,3]={0,1,255} f32={2} u8={1} i8[1,3]={-1,5,100} f32={0.5} i8={1} "
                "f32={1} u8={3}",
     .expect = "u8[1,3]={0,5,255}"},
    {.problem = "QuantizedAdd u8[2,3,7,111] f32={0.02} u8={120} u8[2,3,7,111] f32={0.013} u8={7} "
                "f32={0.03} u8={0}",
     .hi = 256,
     .tolerance = 1e-9},
    {.problem =
         "QuantizedAdd i8[5,9] f32={0.5} i8={-3} u8[5,9] f32={0.25} u8={128} f32={1} i8={-9}",
     .lo = -128,
     .hi = 256,
     .tolerance = 1e-9},
    {.problem = "QuantizedAdd i8[0] f32={1} i8={0} i8[0] f32={1} i8={0} f32={1} i8={0}"},
    {0},
};

extern const tn_case tn_conv_integer_cases[];
const tn_case tn_conv_integer_cases[] = {
    {.problem = "ConvInteger{pads=[1,0]} u8[1,1,3]={2,3,4} u8[1,1,2]={1,1} u8={1}",
     .expect = "i32[1,1,3]={1,3,5}"},
    {.problem = "ConvInteger u8[1,1,2]={2,3} i8[2,1,1]={1,-2} u8={0} i8[2]={0,1}",
     .expect = "i32[1,2,2]={2,3,-6,-9}"},
    {.problem =
         "ConvInteger{group=2, pads=[1,2,0,1], strides=[2,1]} u8[2,6,9,7] i8[4,3,3,2]! u8={100}",
     .lo = -128,
     .hi = 256},
    {.problem = "ConvInteger{dilations=[2]} i8[3,5,20] u8[7,5,3] i8={-3} u8={128}",
     .lo = -128,
     .hi = 256},
    {.problem = "ConvInteger u8[2,3,9,11] u8[5,3,3,3]! u8={7} u8[5]", .hi = 256, .tolerance = 1e-9},
    {.problem =
         "ConvInteger{pads=[1,2,2,1], strides=[2,3]} i8[1,6,12,13] i8[4,6,3,2] i8={-5} i8={3}",
     .lo = -128,
     .hi = 128,
     .tolerance = 1e-9},
    {.problem = "ConvInteger{group=2, dilations=[2,1]} i8[1,10,9,40] u8[26,5,2,3]! i8={100}",
     .lo = -128,
     .hi = 256,
     .tolerance = 1e-9},
    {.problem = "ConvInteger u8[0,3,4,4] i8[2,3,1,1]!"},
    {.problem = "ConvInteger u8[1,0,8] u8[2,0,8]", .expect = "i32[1,2,1]={0,0}"},
    {0},
};

extern const tn_case tn_qlinear_conv_cases[];
const tn_case tn_qlinear_conv_cases[] = {
    {.problem =
         "QLinearConv u8[1,1,2]={3,5} f32={0.5} u8={1} u8[2,1,1]={2,4} f32[2]={2,1} u8[2]={0,0} "
         "f32={2} u8={10} i32[2]={4,-4}",
     .expect = "u8[1,2,2]={14,16,11,13}"},
    {.problem = "QLinearConv{pads=[1,1,1,1], strides=[2,2]} u8[2,8,15,13] f32={0.02} u8={120} "
                "i8[12,8,3,3]! f32={0.01}! i8={0}! f32={0.4} u8={128} i32[12]",
     .lo = -128,
     .hi = 256},
    {.problem = "QLinearConv{group=6, auto_pad=SAME_UPPER} i8[1,6,10,11] f32={0.03} i8={-4} "
                "u8[6,1,3,3] f32[6] u8[6] f32={0.5} i8={3}",
     .lo = 0,
     .hi = 127},
    {.problem = "QLinearConv{pads=[3,3,3,3], strides=[2,2]} u8[1,3,30,29] f32={0.02} u8={110} "
                "i8[65,3,7,7]! f32[65] i8={0} f32={300} u8={0} i32[65]",
     .lo = -99,
     .hi = 127,
     .tolerance = 1e-9},
    {.problem =
         "QLinearConv{pads=[1,1,1,1]} u8[2,70,7,7] f32={0.02} u8={3} i8[30,70,3,3]! f32={0.01} "
         "i8[30] f32={2} i8={-9}",
     .lo = -128,
     .hi = 256,
     .tolerance = 1e-9},
    {.problem =
         "QLinearConv u8[1,520,5,14] f32={0.02} u8={128} u8[31,520,1,2]! f32={0.01} u8={128} "
         "f32={3} u8={128} i32[31]",
     .hi = 256,
     .tolerance = 1e-9},
    {.problem = "QLinearConv{group=9, pads=[1,1,1,1]} i8[1,9,20,21] f32={0.1} i8={-7} i8[9,1,3,3]! "
                "f32={0.1} i8={0} f32={4} i8={1} i32[9]",
     .lo = -128,
     .hi = 128,
     .tolerance = 1e-9},
    /* Every tenth sum is next to the middle of two integers. */
    {.problem =
         "QLinearConv i8[1,2,30,31] f32={0.1} i8={0} i8[5,2,1,1]! f32={1} i8={0} f32={1} i8={0}",
     .lo = -16,
     .hi = 16,
     .tolerance = 1e-9},
    {.problem =
         "QLinearConv i8[3,8,50] f32={0.1} i8={-7} i8[5,8,4] f32={inf} i8={1} f32={4} i8={1}",
     .lo = -128,
     .hi = 128},
    {0},
};
