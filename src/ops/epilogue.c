#include "ops/epilogue.h"

#include <math.h>

double tn_epilogue_of(const tn_epilogue *epilogue, double x)
{
    const double root_half = 0.70710678118654752440, root_2_by_pi = 0.79788456080286535588;
    double low = epilogue->alpha, high = epilogue->beta, gate;
    switch ((tn_epilogue_kind)epilogue->kind) {
    case TN_EPILOGUE_NONE: break;
    case TN_EPILOGUE_RELU: return x < 0 ? 0 : x;
    case TN_EPILOGUE_GELU: return 0.5 * x * (1 + erf(x * root_half));
    case TN_EPILOGUE_GELU_TANH:
        return 0.5 * x * (1 + tanh(root_2_by_pi * (x + 0.044715 * x * x * x)));
    case TN_EPILOGUE_TANH: return tanh(x);
    case TN_EPILOGUE_SIGMOID: return 1 / (1 + exp(-x));
    case TN_EPILOGUE_SILU: return x / (1 + exp(-x));
    case TN_EPILOGUE_HARD_SWISH:
        gate = x / 6 + 0.5;
        return x * (gate < 0 ? 0 : gate > 1 ? 1 : gate);
    case TN_EPILOGUE_LEAKY_RELU: return x < 0 ? low * x : x;
    case TN_EPILOGUE_CLIP:
        if (x < low) x = low;
        return x > high ? high : x;
    }
    return x;
}
