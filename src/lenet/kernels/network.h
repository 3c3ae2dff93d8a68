// A whole network for inference: its layers, their sizes for an image, and the memory of its packed weights.
//
// Every layer is a convolution: a dense layer is one whose kernel is as large as its input. Included once.

#pragma once

#include <cstdlib>

#include "shapes.h"

namespace {

constexpr int MAXIMUM_NETWORK_LAYERS = 32;
constexpr long MAXIMUM_WEIGHTS = 1 << 28;  // floats of one layer

struct NetworkLayer {
    int inputs, outputs, kernel_height, kernel_width, pad_y, pad_x, activation, pooling, pool_y, pool_x;
    bool dense;   // of a dense layer all results of a group of images are computed at once
    bool paired;  // two neighbouring pixels share a vector, see tiles.inc
    float *weights, *biases;  // packed, see network.inc
    long fan_in() const { return long(inputs) * kernel_height * kernel_width; }
};

struct MapSizes {  // of one layer, for one image
    int in_height, in_width;    // with padding
    int height, width;          // of the results that are needed: pooling drops the others
    int out_height, out_width;  // after pooling
};

struct Network {
    int instruction_set, count, contrast_side;  // contrast_side: of the square images, 0 without normalisation
    float mean, deviation, minimum_contrast;
    NetworkLayer layers[MAXIMUM_NETWORK_LAYERS];
    float *gaussian, *gaussian_columns;  // row by row; column by column, packed as the weights of a layer
    long output_size(const MapSizes* sizes) const {
        const MapSizes& last = sizes[count - 1];
        return long(last.out_height) * last.out_width * layers[count - 1].outputs;
    }
    ~Network() {
        for (int i = 0; i < count; i++) std::free(layers[i].weights), std::free(layers[i].biases);
        std::free(gaussian), std::free(gaussian_columns);
    }
};

// numbers: count, contrast_side, then of each layer outputs, inputs, kernel height and width, padding of rows and of
// columns, activation, pooling, rows and columns of a pooling window, and 1 where the layer is dense.
bool read_network(const int64_t* numbers, Network& network) {
    if (numbers[0] < 1 || numbers[0] > MAXIMUM_NETWORK_LAYERS || numbers[1] < 0 || numbers[1] > 1 << 12) return false;
    network.contrast_side = numbers[1];
    int64_t inputs = 1;
    for (int i = 0; i < numbers[0]; i++) {
        const int64_t* n = numbers + 2 + 11 * i;
        for (int k = 0; k < 4; k++)
            if (n[k] < 1 || n[k] > 1 << 16) return false;
        for (int k = 4; k < 6; k++)
            if (n[k] < 0 || n[k] > 1 << 12) return false;
        if (n[1] != inputs || n[2] > 1 << 12 || n[3] > 1 << 12) return false;
        if (n[6] < 0 || n[6] > SIGMOID || n[7] < 0 || n[7] > AVG) return false;
        const bool one = n[8] == 1 && n[9] == 1, rows = n[8] == 2 && n[9] == 1, square = n[8] == 2 && n[9] == 2;
        if (n[7] == NONE ? !one : !rows && !square) return false;
        if (n[10] < 0 || n[10] > 1 || (n[10] && (!i || n[4] || n[5] || n[7]))) return false;
        if (i && network.layers[i - 1].dense && !n[10]) return false;
        if (n[0] * double(n[1]) * n[2] * n[3] > MAXIMUM_WEIGHTS) return false;
        network.layers[i] = {int(n[1]), int(n[0]), int(n[2]), int(n[3]), int(n[4]), int(n[5]),
                             int(n[6]), int(n[7]), int(n[8]), int(n[9]), n[10] == 1, false, nullptr, nullptr};
        network.count = i + 1;
        inputs = n[0];
    }
    return true;
}

// The sizes of every layer for images of height x width; false where a layer has no room, or the maps are too large.
bool find_sizes(const Network& network, int64_t height, int64_t width, MapSizes* sizes) {
    if (height < 1 || width < 1 || height > 1 << 16 || width > 1 << 16) return false;
    if (network.contrast_side && (height != network.contrast_side || width != height)) return false;
    double floats = 0;
    for (int i = 0; i < network.count; i++) {
        const NetworkLayer& layer = network.layers[i];
        const int64_t in_height = height + 2 * layer.pad_y, in_width = width + 2 * layer.pad_x;
        if (layer.dense && (in_height != layer.kernel_height || in_width != layer.kernel_width)) return false;
        height = (in_height - layer.kernel_height + 1) / layer.pool_y;
        width = (in_width - layer.kernel_width + 1) / layer.pool_x;
        if (in_height < layer.kernel_height || in_width < layer.kernel_width || height < 1 || width < 1) return false;
        sizes[i] = {int(in_height), int(in_width), int(height * layer.pool_y), int(width * layer.pool_x), int(height), int(width)};
        floats += double(in_height) * in_width * layer.inputs + 300.0 * sizes[i].width + 20.0 * layer.outputs;
    }
    return floats < MAXIMUM_FLOATS;
}

}  // namespace
