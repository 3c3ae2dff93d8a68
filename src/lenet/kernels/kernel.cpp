// The fused CPU kernel of LeNet: instruction sets, the choice between them, and the entry points for Python.
//
// PyTorch's kernels are made for many channels; 1 -> 6 -> 16 do not fill them, and every operator sends all maps through
// memory. This library computes all convolutions in one pass, and all dense layers in another; for inference, all in one.
//
//     shapes.h                   sizes and settings, checked                              once
//     team.h                     threads, memory that they keep                           once
//     arithmetic.inc             includes the files below                                 for each instruction set
//     simd.inc                   vectors, activations, transposes                         for each instruction set
//     convolution_forward.inc    lanes are images                                         for each instruction set
//     convolution_backward.inc   lanes are images                                         for each instruction set
//     dense.inc                  a packed matrix product; lanes are outputs               for each instruction set
//     network.h                  the layers of a whole network, checked                   once
//     tiles.inc                  one layer of inference; lanes are output channels        for each instruction set
//     pixels.inc                 what comes before the first layer of inference           for each instruction set
//     network.inc                inference: all layers, packed weights                    for each instruction set
//     online.h                   training one image at a time: layers, checked, memory    once
//     online.inc                 the networks of 1998, forward, backward and change       for each instruction set
//     strided.inc                the convolutions of 1989, included by online.inc         for each instruction set
//
// The entry points are plain C without Python's or torch's headers, so that one build serves every version of both.

#include "network.h"
#include "online.h"
#include "shapes.h"
#include "team.h"

// Count up whenever an entry point, or what `numbers` means, changes. library.py refuses a library with another number.
constexpr int ABI = 5;

#define STRING(...) #__VA_ARGS__
#if defined(__clang__)
#define TARGET_BEGIN(features) _Pragma(STRING(clang attribute push(__attribute__((target(features))), apply_to = function)))
#define TARGET_END _Pragma("clang attribute pop")
#else
#define TARGET_BEGIN(features) _Pragma("GCC push_options") _Pragma(STRING(GCC target(features)))
#define TARGET_END _Pragma("GCC pop_options")
#endif

namespace {  // so that nothing of the arithmetic is visible outside

// MANY_REGISTERS: there are 32 vector registers, not 16. Columns and channels that are computed at once are chosen so that
// the accumulators fill them.
#if defined(__x86_64__)
TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
namespace avx512 {
#define LANES 16
#define MANY_REGISTERS 1
#include "arithmetic.inc"
}  // namespace avx512
TARGET_END
TARGET_BEGIN("avx2,fma")
namespace avx2 {
#define LANES 8
#define MANY_REGISTERS 0
#include "arithmetic.inc"
}  // namespace avx2
TARGET_END
#endif
namespace baseline {  // SSE2 on x86-64, NEON on ARM
#define LANES 4
#if defined(__aarch64__)
#define MANY_REGISTERS 1
#else
#define MANY_REGISTERS 0
#endif
#include "arithmetic.inc"
}  // namespace baseline

int chosen = -1;  // 0 baseline, 1 AVX2, 2 AVX-512

int best() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
    return 0;
}

// Call `function`. 0: done, 2: out of memory, 3: unknown error.
template <class Function>
int guard(Function function) {
    try {
        function();
        return 0;
    } catch (const std::bad_alloc&) {
        return 2;
    } catch (...) {
        return 3;
    }
}

// Read the shape and call `function` with it, as `guard` does; 1: impossible shape.
template <class Shape, class Function>
int guarded(bool (*read)(const int64_t*, Shape&), const int64_t* numbers, Function function) {
    Shape shape;
    if (!read(numbers, shape)) return 1;
    return guard([&] { function(shape); });
}

}  // namespace

#if defined(__x86_64__)
#define DISPATCH_TO(set, call) (set == 2 ? avx512::call : set == 1 ? avx2::call : baseline::call)
#else
#define DISPATCH_TO(set, call) baseline::call
#endif
#define DISPATCH(call) DISPATCH_TO(chosen, call)
#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT int lenet_abi() { return ABI; }

// Take the instruction set `wanted` (0, 1, 2) if the machine has it, the best one if it is -1. Returns what was taken.
EXPORT int lenet_choose(int wanted) {
    const int maximum = best();
    return chosen = wanted < 0 || wanted > maximum ? maximum : wanted;
}

// Floats that backward needs from forward; -1 where the shape is impossible or too large for this kernel.
EXPORT int64_t lenet_convolution_saved_size(const int64_t* numbers) {
    ConvolutionShape shape;
    return read_convolutions(numbers, shape) ? DISPATCH(convolution_saved_size(shape)) : -1;
}

// saved: null, or room for what backward needs, at a multiple of 64 bytes.
EXPORT int lenet_convolution_forward(const int64_t* numbers, const float* images, const float* const* weights,
                                     const float* const* biases, float* features, float* saved, int threads) {
    return guarded(read_convolutions, numbers, [&](const ConvolutionShape& shape) {
        ConvolutionCall call{};
        call.images = images, call.weights = weights, call.biases = biases;
        call.features = features, call.saved = saved;
        DISPATCH(convolution_forward(shape, call, threads));
    });
}

// image_gradient: null where it is not needed.
EXPORT int lenet_convolution_backward(const int64_t* numbers, const float* gradient, const float* images,
                                      const float* saved, const float* const* weights, float* image_gradient,
                                      float* const* weight_gradients, float* const* bias_gradients, int threads) {
    return guarded(read_convolutions, numbers, [&](const ConvolutionShape& shape) {
        ConvolutionCall call{};
        call.gradient = gradient, call.images = images, call.saved = const_cast<float*>(saved), call.weights = weights;
        call.image_gradient = image_gradient;
        call.weight_gradients = weight_gradients, call.bias_gradients = bias_gradients;
        DISPATCH(convolution_backward(shape, call, threads));
    });
}

// outputs: of each layer, (images, width).
EXPORT int lenet_dense_forward(const int64_t* numbers, const float* input, const float* const* weights,
                               const float* const* biases, float* const* outputs, int threads) {
    return guarded(read_dense, numbers, [&](const DenseShape& shape) {
        DenseCall call{};
        call.input = input, call.weights = weights, call.biases = biases, call.outputs = outputs;
        DISPATCH(dense_forward(shape, call, threads));
    });
}

// outputs: of each layer but the last, as forward made them. input_gradient: null where it is not needed.
EXPORT int lenet_dense_backward(const int64_t* numbers, const float* gradient, const float* input,
                                float* const* outputs, const float* const* weights, float* input_gradient,
                                float* const* weight_gradients, float* const* bias_gradients, int threads) {
    return guarded(read_dense, numbers, [&](const DenseShape& shape) {
        DenseCall call{};
        call.gradient = gradient, call.input = input, call.outputs = outputs, call.weights = weights;
        call.input_gradient = input_gradient;
        call.weight_gradients = weight_gradients, call.bias_gradients = bias_gradients;
        DISPATCH(dense_backward(shape, call, threads));
    });
}

// A network with its weights packed for the instruction set that is chosen now; null where that is impossible. It is never
// changed, so that threads may share it; lenet_network_free frees it.
//
// numbers: see read_network. weights: (outputs, inputs, rows, columns) of each layer. settings: mean and standard deviation
// of pixels, and the least deviation of contrast normalisation; gaussian: its weights (side, side), null without it.
EXPORT void* lenet_network_pack(const int64_t* numbers, const float* const* weights, const float* const* biases,
                                const float* settings, const float* gaussian) {
    Network* network = new (std::nothrow) Network{};
    if (!network || !read_network(numbers, *network)) return delete network, nullptr;
    network->instruction_set = chosen;
    network->mean = settings[0], network->deviation = settings[1], network->minimum_contrast = settings[2];
    try {
        DISPATCH(pack_network(*network, weights, biases, gaussian));
    } catch (const std::bad_alloc&) {
        return delete network, nullptr;
    }
    return network;
}

EXPORT void lenet_network_free(void* network) { delete (Network*)network; }

// shape: rows, columns and channels of the result for one image of height x width; -1 as the first where it is impossible.
EXPORT void lenet_network_shape(const void* handle, int64_t height, int64_t width, int64_t* shape) {
    const Network& network = *(const Network*)handle;
    MapSizes sizes[MAXIMUM_NETWORK_LAYERS];
    if (!find_sizes(network, height, width, sizes)) return void(shape[0] = -1);
    const MapSizes& last = sizes[network.count - 1];
    shape[0] = last.out_height, shape[1] = last.out_width, shape[2] = network.layers[network.count - 1].outputs;
}

// pixels: (images, height, width), bytes 0..255 or floats 0..1. results: (images, rows, columns, channels).
EXPORT int lenet_network_run(const void* handle, int64_t images, int64_t height, int64_t width, const void* pixels,
                             int bytes, float* results, int threads) {
    const Network& network = *(const Network*)handle;
    MapSizes sizes[MAXIMUM_NETWORK_LAYERS];
    if (images < 0 || images > 1 << 30 || !find_sizes(network, height, width, sizes)) return 1;
    return guard([&] {
        if (bytes)
            DISPATCH_TO(network.instruction_set,
                        run_network(network, sizes, images, height, width, (const uint8_t*)pixels, results, threads));
        else
            DISPATCH_TO(network.instruction_set,
                        run_network(network, sizes, images, height, width, (const float*)pixels, results, threads));
    });
}

// A step of gradient descent for each image, in order, on one thread; see OnlineCall.
EXPORT int lenet_online_learn(const int64_t* numbers, const int64_t* links, int64_t images, const float* pixels,
                              const int64_t* labels, float* const* weights, float* const* biases,
                              const float* const* weight_rates, const float* const* bias_rates, const float* scale,
                              float* logits) {
    OnlineNetwork network{};
    if (images < 0 || images > 1 << 30 || !read_online(numbers, links, network)) return 1;
    const OnlineCall call{images, pixels, labels, weights, biases, weight_rates, bias_rates, scale, logits};
    return guard([&] {
        OnlineMemory memory(network);
        for (int64_t image = 0; image < images; image++) DISPATCH(learn_image(network, call, memory, image));
    });
}

// Floating-point operations of one round of lenet_multiply_add.
EXPORT int64_t lenet_flops_a_round() { return DISPATCH(flops_a_round()); }

// Rounds of fused multiply-adds in registers, on the calling thread: the most that a core can do.
EXPORT float lenet_multiply_add(int64_t rounds) { return DISPATCH(multiply_add(rounds, 0.999f, 0.001f)); }
