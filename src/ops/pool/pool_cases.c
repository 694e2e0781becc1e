#include "ir/op.h"

extern const tn_case tn_max_pool_cases[];
const tn_case tn_max_pool_cases[] = {
    {.problem = "MaxPool{kernel_shape=[2,2]} f32[1,1,3,3]={1,2,3,4,9,6,7,8,5} -> 2",
     .expect = "f32[1,1,2,2]={9,9,9,9} i64[1,1,2,2]={4,4,4,4}"},
    {.problem = "MaxPool{kernel_shape=[2,2], storage_order=1} f32[1,1,3,2]={1,2,3,4,9,6} -> 2",
     .expect = "f32[1,1,2,1]={4,9} i64[1,1,2,1]={4,2}"},
    {.problem = "MaxPool{kernel_shape=[2], pads=[1,1]} f32[1,2,2]={-1,-2,-3,-4} -> 2",
     .expect = "f32[1,2,3]={-1,-1,-2,-3,-3,-4} i64[1,2,3]={0,0,1,2,2,3}"},
    {.problem = "MaxPool{kernel_shape=[2], strides=[2], ceil_mode=1} f32[1,1,5]={1,2,3,4,5} -> 2",
     .expect = "f32[1,1,3]={2,4,5} i64[1,1,3]={1,3,4}"},
    {.problem =
         "MaxPool{kernel_shape=[1], strides=[2], ceil_mode=1, pads=[0,1]} f32[1,1,2]={1,2} -> 2",
     .expect = "f32[1,1,1]={1} i64[1,1,1]={0}"},
    {.problem = "MaxPool{kernel_shape=[2], dilations=[2]} f32[1,1,4]={1,2,3,0} -> 2",
     .expect = "f32[1,1,2]={3,2} i64[1,1,2]={2,1}"},
    {.problem =
         "MaxPool{kernel_shape=[3], strides=[2], auto_pad=SAME_LOWER} f32[1,1,4]={4,1,2,3} -> 2",
     .expect = "f32[1,1,2]={4,3} i64[1,1,2]={0,3}"},
    {.problem = "MaxPool{kernel_shape=[2]} u8[1,1,3]={200,3,4} -> 2",
     .expect = "u8[1,1,2]={200,4} i64[1,1,2]={0,2}"},
    {.problem = "MaxPool{kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]} f32[2,5,17,20] -> 2"},
    {.problem = "MaxPool{kernel_shape=[2,2,2], strides=[2,2,2]} f32[1,2,5,6,7] -> 2"},
    {.problem = "MaxPool{kernel_shape=[2,3]} f16[1,2,5,6] -> 2"},
    {.problem = "MaxPool{kernel_shape=[3], ceil_mode=1} i8[2,2,9] -> 2"},
    {.problem = "MaxPool{kernel_shape=[3], strides=[2], pads=[1,1]} f32[1,1,4]={nan,-1,-3,-inf}",
     .expect = "f32[1,1,2]={nan,-1}"},
    {.problem = "MaxPool{kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]} f32[2,5,17,20]"},
    {.problem = "MaxPool{kernel_shape=[3,3], strides=[2,2]} f32[1,9,55,55]"},
    {.problem = "MaxPool{kernel_shape=[5,2], strides=[1,4], dilations=[2,3]} f32[3,2,40,77]"},
    {.problem = "MaxPool{kernel_shape=[4], strides=[3], pads=[2,1], ceil_mode=1} f32[2,3,9001]"},
    {.problem = "MaxPool{kernel_shape=[2,3,2]} f32[1,2,5,6,7]"},
    {.problem = "MaxPool{kernel_shape=[1,1]} f32[2,3,6,6]"},
    {.problem = "MaxPool{kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]} u8[2,5,17,70]",
     .hi = 256,
     .tolerance = 1e-9},
    {.problem = "MaxPool{kernel_shape=[2,3,2], strides=[1,2,3], pads=[1,0,1,0,2,1]} i8[1,3,5,6,47]",
     .lo = -128,
     .hi = 128,
     .tolerance = 1e-9},
    {.problem = "MaxPool{kernel_shape=[3], dilations=[4], ceil_mode=1, strides=[5]} i8[2,2,99]",
     .lo = -128,
     .hi = 0,
     .tolerance = 1e-9},
    {0},
};

extern const tn_case tn_global_max_pool_cases[];
const tn_case tn_global_max_pool_cases[] = {
    {.problem = "GlobalMaxPool f32[1,2,1,2]={1,2,-4,-3}", .expect = "f32[1,2,1,1]={2,-3}"},
    {.problem = "GlobalMaxPool f32[2,3,4,5,2]"},
    {.problem = "GlobalMaxPool f32[1,2,3]={1,nan,2,-7,-inf,-8}", .expect = "f32[1,2,1]={nan,-7}"},
    {.problem = "GlobalMaxPool f32[2,3,133]"},
    {.problem = "GlobalMaxPool f64[2,3,4]"},
    {0},
};

extern const tn_case tn_average_pool_cases[];
const tn_case tn_average_pool_cases[] = {
    {.problem = "AveragePool{kernel_shape=[2,2]} f32[1,1,2,3]={1,2,3,4,5,6}",
     .expect = "f32[1,1,1,2]={3,4}"},
    {.problem = "AveragePool{kernel_shape=[2], pads=[1,1]} f32[1,1,2]={2,4}",
     .expect = "f32[1,1,3]={2,3,4}"},
    {.problem = "AveragePool{kernel_shape=[2], pads=[1,1], count_include_pad=1} f32[1,1,2]={2,4}",
     .expect = "f32[1,1,3]={1,3,2}"},
    {.problem = "AveragePool{kernel_shape=[3], strides=[2], pads=[0,1], ceil_mode=1, "
                "count_include_pad=1} f32[1,1,5]={3,3,3,6,3}",
     .expect = "f32[1,1,3]={3,4,1.5}"},
    {.problem = "AveragePool{kernel_shape=[2], dilations=[2]} f32[1,1,4]={1,2,3,6}",
     .expect = "f32[1,1,2]={2,4}"},
    {.problem = "AveragePool{kernel_shape=[3,3], strides=[2,2], auto_pad=SAME_UPPER} f32[2,3,8,7]"},
    {.problem = "AveragePool{kernel_shape=[2,2,2], pads=[1,0,1,0,1,0]} f32[1,2,4,5,6]"},
    {.problem = "AveragePool{kernel_shape=[3]} f16[1,2,8]"},
    {.problem = "AveragePool{kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]} f32[2,5,17,20]"},
    {.problem = "AveragePool{kernel_shape=[5,3], pads=[3,0,1,2], count_include_pad=1, ceil_mode=1, "
                "strides=[3,2]} f32[1,3,23,70]"},
    {.problem = "AveragePool{kernel_shape=[7,7]} f32[1,40,7,7]"},
    {.problem = "AveragePool{kernel_shape=[1,1]} f32[2,3,6,6]"},
    {.problem = "AveragePool{kernel_shape=[2], pads=[5,6], dilations=[3]} f32[2,2,8000]"},
    {0},
};

extern const tn_case tn_global_average_pool_cases[];
const tn_case tn_global_average_pool_cases[] = {
    {.problem = "GlobalAveragePool f32[1,2,1,2]={1,2,-4,-3}", .expect = "f32[1,2,1,1]={1.5,-3.5}"},
    {.problem = "GlobalAveragePool f32[2,64,7,7]"},
    {.problem = "GlobalAveragePool f32[3,5,301]"},
    {.problem = "GlobalAveragePool f16[2,3,4]"},
    {0},
};

extern const tn_case tn_lp_pool_cases[];
const tn_case tn_lp_pool_cases[] = {
    {.problem = "LpPool{kernel_shape=[2]} f32[1,1,3]={3,-4,0}", .expect = "f32[1,1,2]={5,4}"},
    {.problem = "LpPool{kernel_shape=[2], p=1, pads=[1,0]} f32[1,1,2]={3,-4}",
     .expect = "f32[1,1,2]={3,7}"},
    {.problem = "LpPool{kernel_shape=[2,2], p=3, dilations=[2,1], strides=[1,2]} f32[2,3,6,7]"},
    {.problem = "LpPool{kernel_shape=[3], ceil_mode=1, strides=[2]} f64[2,3,8]"},
    {0},
};

extern const tn_case tn_global_lp_pool_cases[];
const tn_case tn_global_lp_pool_cases[] = {
    {.problem = "GlobalLpPool f32[1,2,1,2]={3,4,-6,8}", .expect = "f32[1,2,1,1]={5,10}"},
    {.problem = "GlobalLpPool{p=1} f32[2,3,4,5]"},
    {0},
};

extern const tn_case tn_max_unpool_cases[];
const tn_case tn_max_unpool_cases[] = {
    {.problem = "MaxUnpool{kernel_shape=[2,2], strides=[2,2]} f32[1,1,2,2]={1,2,3,4} "
                "i64[1,1,2,2]={5,7,13,15}",
     .expect = "f32[1,1,4,4]={0,0,0,0,0,1,0,2,0,0,0,0,0,3,0,4}"},
    {.problem = "MaxUnpool{kernel_shape=[2], strides=[2]} f32[1,1,2]={5,6} i64[1,1,2]={1,2} "
                "i64[3]={1,1,5}",
     .expect = "f32[1,1,5]={0,5,6,0,0}"},
    {0},
};
