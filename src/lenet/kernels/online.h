// Training one image at a time: the layers of a network of 1989 to 1998, their sizes, and what Python hands over.
//
// Every layer but the output is followed by the squashing function 1.7159 tanh(2/3 a). Included once.

#pragma once

#include <cstdint>
#include <memory>
#include <new>

#include "shapes.h"

namespace {

enum OnlineKind { CONVOLUTION, SUBSAMPLING, DENSE, STRIDED };
enum OnlineLoss { CROSS_ENTROPY, BIPOLAR };
constexpr int STEP = 2, FRAME = 2;  // of the convolutions of 1989: places, and pixels of BORDER around the input
constexpr float BORDER = -1;
constexpr int KERNEL = 5, MAXIMUM_CLASSES = 64, PITCH = 16;  // PITCH: rows of maps begin at multiples of it

struct OnlineLayer {
    int kind, inputs, in_side, outputs, side;  // a dense layer has maps of one pixel
    long link_count;
    const int64_t* links;  // of a convolution: pairs (output, input), in the order of the weights
    long width;            // of a dense layer's input
    // Of a strided convolution: the side of an input map in its frame, all of those, and a row of the columns.
    int wide() const { return in_side + 2 * FRAME; }
    long framed_size() const { return long(inputs) * wide() * wide(); }
    long places() const { return (long(side) * side + PITCH - 1) / PITCH * PITCH; }
};

struct OnlineNetwork {
    int count, side, classes, loss;
    bool distances, rejects;  // output: distances from bitmaps, else a dense layer; a further logit fixed at 0
    long code;                // width of the output's input
    OnlineLayer layers[MAXIMUM_LAYERS];
};

struct OnlineCall {
    long images;
    const float* pixels;          // (images, side, side), as the first layer sees them
    const int64_t* labels;        // (images)
    float* const* weights;        // of each layer and the output: changed
    float* const* biases;
    const float* const* weight_rates;  // the rate of each weight
    const float* const* bias_rates;
    const float* scale;           // of distances
    float* logits;                // (images, classes), before each step
};

// numbers: count, side, classes, loss, 1 for distances, 1 for a reject class, then kind, outputs and number of links of
// each layer. links: of all convolutions, pair by pair.
bool read_online(const int64_t* numbers, const int64_t* links, OnlineNetwork& network) {
    if (numbers[0] < 1 || numbers[0] > MAXIMUM_LAYERS || numbers[1] < 1 || numbers[1] > 512) return false;
    if (numbers[2] < 2 || numbers[2] > MAXIMUM_CLASSES || numbers[3] < 0 || numbers[3] > BIPOLAR) return false;
    network.count = numbers[0], network.side = numbers[1], network.classes = numbers[2], network.loss = numbers[3];
    network.distances = numbers[4], network.rejects = numbers[5];
    int64_t inputs = 1, side = network.side;
    bool flat = false;
    for (int i = 0; i < network.count; i++) {
        const int64_t kind = numbers[6 + 3 * i], outputs = numbers[7 + 3 * i], count = numbers[8 + 3 * i];
        const int before = i ? network.layers[i - 1].kind : kind;
        if ((!i && kind != CONVOLUTION && kind != STRIDED) || outputs < 1 || outputs > 1 << 13) return false;
        if (kind < CONVOLUTION || kind > STRIDED || count < 0 || count > 1 << 20 || (flat && kind != DENSE)) return false;
        if ((kind == CONVOLUTION && side < KERNEL + 3) || (kind == STRIDED) != (before == STRIDED && kind != DENSE)) return false;
        if ((kind == CONVOLUTION || kind == STRIDED) != (count > 0)) return false;
        if (kind == SUBSAMPLING && (side < 2 || outputs % inputs || before != CONVOLUTION)) return false;
        if (kind != SUBSAMPLING && i && before == CONVOLUTION) return false;
        const int64_t after = kind == CONVOLUTION   ? side - KERNEL + 1
                              : kind == SUBSAMPLING ? side / 2
                              : kind == STRIDED     ? (side + 2 * FRAME - KERNEL) / STEP + 1
                                                    : 1;
        network.layers[i] = {int(kind), int(inputs), int(side), int(outputs), int(after), long(count), links, long(inputs * side * side)};
        for (int64_t k = 0; k < count; k++, links += 2)
            if (links[0] < 0 || links[0] >= outputs || links[1] < 0 || links[1] >= inputs) return false;
        flat = kind == DENSE, inputs = outputs, side = after;
    }
    network.code = inputs * side * side;
    return network.layers[network.count - 1].kind != CONVOLUTION;
}

// What one layer keeps of an image. Rows of maps are `pitch` apart; what is behind their last column is finite.
struct OnlineMaps {
    int pitch;
    float* values;  // squashed
    float* deltas;  // gradients of the loss by the sums before; of convolutions 0 behind the last column
    float* extra;   // convolutions: deltas with a margin; subsampling: the sums of windows; strided: columns, their gradients
    float* framed;  // strided: the input in its frame, and its gradients
};

struct OnlineMemory {
    OnlineMaps input{}, maps[MAXIMUM_LAYERS]{};
    float* code_gradient;
    int wide_pitch(const OnlineLayer& layer) const { return round(layer.side + 2 * (KERNEL - 1)); }

    explicit OnlineMemory(const OnlineNetwork& network) {
        input.pitch = round(network.side);
        input.values = take(long(network.side) * input.pitch);
        for (int i = 0; i < network.count; i++) {
            const OnlineLayer& layer = network.layers[i];
            const bool last = i + 1 == network.count;
            // In front of dense layers the maps follow one another without gaps.
            const bool tight = last || network.layers[i + 1].kind == DENSE || layer.kind == STRIDED;
            maps[i].pitch = tight ? layer.side : round(layer.side);
            const long size = long(layer.outputs) * layer.side * maps[i].pitch;
            maps[i].values = take(size), maps[i].deltas = take(size);
            if (layer.kind == SUBSAMPLING) maps[i].extra = take(size);
            if (layer.kind == CONVOLUTION)
                maps[i].extra = take(long(layer.outputs) * (layer.side + 2 * (KERNEL - 1)) * wide_pitch(layer));
            if (layer.kind == STRIDED) {
                maps[i].extra = take(2 * layer.inputs * KERNEL * KERNEL * layer.places());
                maps[i].framed = take(2 * layer.framed_size());
                for (long place = 0; place < layer.framed_size(); place++) maps[i].framed[place] = BORDER;
            }
        }
        code_gradient = take(network.code);
    }

private:
    static constexpr long SLACK_FLOATS = 128;  // behind every array, which vectors may reach
    std::unique_ptr<float[]> arrays[4 * MAXIMUM_LAYERS + 2];
    int taken = 0;
    static int round(int side) { return (side + PITCH - 1) / PITCH * PITCH; }
    float* take(long size) { return (arrays[taken++] = std::unique_ptr<float[]>(new float[size + SLACK_FLOATS]())).get(); }
};

}  // namespace
