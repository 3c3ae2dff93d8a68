// What is to be computed: sizes and settings, read from the numbers that Python hands over, and checked.
//
// Every number is checked here, once; the arithmetic behind it trusts them. Included once.

#pragma once

#include <cstdint>

namespace {

enum Activation { IDENTITY, RELU, TANH, SIGMOID };
enum Pooling { NONE, MAX, AVG };
constexpr int MAXIMUM_LAYERS = 16;
constexpr double MAXIMUM_FLOATS = 1 << 26;  // of scratch memory a thread: 256 MB; larger maps are left to PyTorch

// ---- convolutions: convolution + bias, activation and pooling, several times ----------------------------------------

struct Convolution {  // one convolution with what follows it; the sizes are of one image
    int inputs, outputs, kernel;
    int in_height, in_width;    // with padding
    int height, width;          // of the convolution's result
    int out_height, out_width;  // after pooling
    bool pools;
    long in_size() const { return long(inputs) * in_height * in_width; }
    long out_size() const { return long(outputs) * out_height * out_width; }
    long fan_in() const { return long(inputs) * kernel * kernel; }
};

struct ConvolutionShape {
    long images;
    int channels, height, width, padding, activation, pooling, count;
    Convolution layers[MAXIMUM_LAYERS];
    const Convolution& last() const { return layers[count - 1]; }
};

// numbers: images, channels, height, width, padding, activation, pooling, count, then outputs and kernel of each layer.
bool read_convolutions(const int64_t* numbers, ConvolutionShape& shape) {
    for (int i = 0; i < 8; i++)
        if (numbers[i] < 0 || numbers[i] > (i ? 1 << 16 : 1 << 30)) return false;
    shape.images = numbers[0];
    shape.channels = numbers[1], shape.height = numbers[2], shape.width = numbers[3];
    shape.padding = numbers[4], shape.activation = numbers[5], shape.pooling = numbers[6], shape.count = numbers[7];
    if (shape.activation > SIGMOID || shape.pooling > AVG) return false;
    if (shape.count < 1 || shape.count > MAXIMUM_LAYERS) return false;
    int inputs = shape.channels, height = shape.height + 2 * shape.padding, width = shape.width + 2 * shape.padding;
    double floats = 0;
    for (int i = 0; i < shape.count; i++) {
        int64_t outputs = numbers[8 + 2 * i], kernel = numbers[9 + 2 * i];
        if (inputs < 1 || outputs < 1 || outputs > 1 << 16) return false;
        if (kernel < 1 || kernel > height || kernel > width) return false;
        Convolution& layer = shape.layers[i];
        layer.inputs = inputs, layer.outputs = outputs, layer.kernel = kernel;
        layer.in_height = height, layer.in_width = width;
        layer.height = height - kernel + 1, layer.width = width - kernel + 1;
        layer.pools = shape.pooling != NONE && layer.height > 1 && layer.width > 1;
        layer.out_height = layer.pools ? layer.height / 2 : layer.height;
        layer.out_width = layer.pools ? layer.width / 2 : layer.width;
        // An upper bound: input, result with its margin, gradients of both, and the packed weights.
        floats += 16.0 * 3.0 * inputs * height * width;
        floats += 16.0 * 4.0 * outputs * layer.height * (layer.width + 8.0);
        floats += 24.0 * double(inputs) * outputs * (kernel + 6.0) * (kernel + 6.0);
        inputs = outputs, height = layer.out_height, width = layer.out_width;
    }
    return floats < MAXIMUM_FLOATS;
}

struct ConvolutionCall {  // what Python hands over: NCHW floats, all contiguous
    const float *images, *gradient;  // gradient: of the features, when going backward
    float *features, *saved, *image_gradient;
    const float *const *weights, *const *biases;
    float *const *weight_gradients, *const *bias_gradients;
};

// ---- dense layers: linear, activation, linear, ..., linear ----------------------------------------------------------

struct DenseShape {
    long images;
    int activation, count, widths[MAXIMUM_LAYERS + 1];  // of the input, then of each layer
    long maximum_width() const {
        long maximum = 0;
        for (int i = 0; i <= count; i++) maximum = widths[i] > maximum ? widths[i] : maximum;
        return maximum;
    }
};

// numbers: images, activation, number of layers, then widths.
bool read_dense(const int64_t* numbers, DenseShape& shape) {
    if (numbers[0] < 1 || numbers[0] > 1 << 20 || numbers[1] < 0 || numbers[1] > SIGMOID) return false;
    if (numbers[2] < 1 || numbers[2] > MAXIMUM_LAYERS) return false;
    shape.images = numbers[0], shape.activation = numbers[1], shape.count = numbers[2];
    for (int i = 0; i <= shape.count; i++) {
        if (numbers[3 + i] < 1 || numbers[3 + i] > 1 << 16) return false;
        shape.widths[i] = numbers[3 + i];
    }
    return true;
}

struct DenseCall {  // what Python hands over, all contiguous
    const float *input, *gradient;         // gradient: of the last layer's outputs, when going backward
    float* const* outputs;                 // of each layer; backward does not read the last
    const float *const *weights, *const *biases;
    float* input_gradient;
    float *const *weight_gradients, *const *bias_gradients;
};

}  // namespace
