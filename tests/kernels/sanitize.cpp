// Random shapes through every instruction set, every buffer exactly as long as it must be; for the sanitizers.
// Convolutions and dense layers, forward and backward; then numbers that no network has; then inference; then two callers
// that contend for the team.
//
// The kernel's duty is every value in `numbers`: it refuses what it cannot compute and touches no buffer then. That
// `numbers` holds two entries a layer, and that pointers and buffers are as many and as long as `numbers` says, is the
// duty of the adapter in Python (tests/kernels/test_hostile_shapes.py).
#include "../../src/lenet/kernels/kernel.cpp"

#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

using Floats = std::vector<float>;

static Floats make(std::mt19937& random, long size) {
    Floats values(size);
    for (float& value : values) value = std::normal_distribution<float>()(random);
    return values;
}

struct Tensors {  // several tensors, and where they are, as the kernel takes them
    std::vector<Floats> values;
    std::vector<float*> pointers;
    void add(Floats floats) {
        values.push_back(std::move(floats));
        pointers.push_back(values.back().data());
    }
};

struct Aligned {  // floats at a multiple of 64 bytes
    explicit Aligned(long size) {
        if (posix_memalign(&memory, 64, size * sizeof(float))) std::abort();
    }
    ~Aligned() { std::free(memory); }
    Aligned(const Aligned&) = delete;
    float* data() { return (float*)memory; }
    void* memory = nullptr;
};

struct Convolutions {
    std::vector<int64_t> numbers;
    ConvolutionShape shape;
    Floats images, gradient;
    Tensors weights, biases;

    Convolutions(std::vector<int64_t> given, std::mt19937& random) : numbers(std::move(given)) {
        if (!read_convolutions(numbers.data(), shape)) std::abort();
        images = make(random, shape.images * shape.channels * shape.height * shape.width);
        gradient = make(random, shape.images * shape.last().out_size());
        for (int i = 0; i < shape.count; i++) {
            weights.add(make(random, shape.layers[i].outputs * shape.layers[i].fan_in()));
            biases.add(make(random, shape.layers[i].outputs));
        }
    }
    // Everything that is computed, one after the other; empty where the kernel failed.
    std::vector<Floats> run(int threads, bool images_too) const {
        Floats features(gradient.size()), same(gradient.size()), image_gradient(images_too ? images.size() : 0);
        Tensors weight_gradients, bias_gradients;
        for (const Floats& floats : weights.values) weight_gradients.add(Floats(floats.size()));
        for (const Floats& floats : biases.values) bias_gradients.add(Floats(floats.size()));
        Aligned saved(lenet_convolution_saved_size(numbers.data()));
        int code = lenet_convolution_forward(numbers.data(), images.data(), weights.pointers.data(),
                                             biases.pointers.data(), features.data(), nullptr, threads);
        code |= lenet_convolution_forward(numbers.data(), images.data(), weights.pointers.data(),
                                          biases.pointers.data(), same.data(), saved.data(), threads);
        code |= lenet_convolution_backward(numbers.data(), gradient.data(), images.data(), saved.data(),
                                           weights.pointers.data(), images_too ? image_gradient.data() : nullptr,
                                           weight_gradients.pointers.data(), bias_gradients.pointers.data(), threads);
        if (code) return {};
        std::vector<Floats> all{features, same, image_gradient};
        for (const Tensors* tensors : {&weight_gradients, &bias_gradients})
            all.insert(all.end(), tensors->values.begin(), tensors->values.end());
        return all;
    }
};

struct Dense {
    std::vector<int64_t> numbers;  // images, activation, number of layers, widths
    Floats input, gradient;
    Tensors weights, biases;

    Dense(std::vector<int64_t> given, std::mt19937& random) : numbers(std::move(given)) {
        input = make(random, numbers[0] * numbers[3]), gradient = make(random, numbers[0] * numbers.back());
        for (int i = 0; i < numbers[2]; i++) {
            weights.add(make(random, numbers[3 + i] * numbers[4 + i]));
            biases.add(make(random, numbers[4 + i]));
        }
    }
    std::vector<Floats> run(int threads, bool input_too) const {
        Floats input_gradient(input_too ? input.size() : 0);
        Tensors outputs, weight_gradients, bias_gradients;
        for (int i = 0; i < numbers[2]; i++) {
            outputs.add(Floats(numbers[0] * numbers[4 + i]));
            weight_gradients.add(Floats(weights.values[i].size()));
            bias_gradients.add(Floats(biases.values[i].size()));
        }
        int code = lenet_dense_forward(numbers.data(), input.data(), weights.pointers.data(), biases.pointers.data(),
                                       outputs.pointers.data(), threads);
        std::vector<float*> hidden(outputs.pointers.begin(), outputs.pointers.end() - 1);  // all but the last
        code |= lenet_dense_backward(numbers.data(), gradient.data(), input.data(), hidden.data(),
                                     weights.pointers.data(), input_too ? input_gradient.data() : nullptr,
                                     weight_gradients.pointers.data(), bias_gradients.pointers.data(), threads);
        if (code) return {};
        std::vector<Floats> all{input_gradient};
        for (const Tensors* tensors : {&outputs, &weight_gradients, &bias_gradients})
            all.insert(all.end(), tensors->values.begin(), tensors->values.end());
        return all;
    }
};

struct Inference {
    std::vector<int64_t> numbers;
    int64_t images, height, width, shape[3];
    void* network;
    std::vector<uint8_t> pixels;

    Inference(std::vector<int64_t> given, int64_t images, int64_t height, int64_t width, std::mt19937& random)
        : numbers(std::move(given)), images(images), height(height), width(width), pixels(images * height * width) {
        Tensors weights, biases;
        for (int i = 0; i < numbers[0]; i++) {
            const int64_t* layer = &numbers[2 + 11 * i];
            weights.add(make(random, layer[0] * layer[1] * layer[2] * layer[3])), biases.add(make(random, layer[0]));
        }
        const Floats settings{0.1f, 0.3f, 0.1f}, gaussian = make(random, numbers[1] * numbers[1]);
        for (uint8_t& pixel : pixels) pixel = random();
        network = lenet_network_pack(numbers.data(), weights.pointers.data(), biases.pointers.data(), settings.data(),
                                     gaussian.data());
        shape[0] = -1;
        if (network) lenet_network_shape(network, height, width, shape);
    }
    Inference(const Inference&) = delete;
    ~Inference() { lenet_network_free(network); }
    bool possible() const { return network && shape[0] > 0; }
    std::vector<Floats> run(int threads, bool bytes) const {
        Floats results(images * shape[0] * shape[1] * shape[2]), floats(pixels.begin(), pixels.end());
        const void* from = bytes ? (const void*)pixels.data() : floats.data();
        if (lenet_network_run(network, images, height, width, from, bytes, results.data(), threads)) return {};
        return {results};
    }
};

// Layers that fit on images of height x width, dense ones behind convolutions.
static std::vector<int64_t> draw_network(std::mt19937& random, int64_t height, int64_t width, bool contrast) {
    auto pick = [&](int from, int to) { return int64_t(from + random() % (to - from + 1)); };
    const int64_t convolutions = pick(1, 3), dense = pick(0, 3), activation = pick(0, 3);
    std::vector<int64_t> numbers{convolutions + dense, contrast ? height : 0};
    for (int64_t i = 0, inputs = 1; i < convolutions + dense; i++) {
        const int64_t outputs = pick(1, pick(1, 70)), pad_y = i < convolutions ? pick(0, 2) : 0;
        const int64_t pad_x = i < convolutions ? pick(0, 2) : 0, in_height = height + 2 * pad_y, in_width = width + 2 * pad_x;
        const int64_t rows = i < convolutions ? pick(1, in_height < 6 ? in_height : 6) : in_height;
        const int64_t columns = i < convolutions ? pick(1, in_width < 6 ? in_width : 6) : in_width;
        height = in_height - rows + 1, width = in_width - columns + 1;
        const int64_t pooling = i < convolutions && height > 1 && width > 1 ? pick(0, 2) : 0;
        const int64_t pool_y = pooling ? 2 : 1, pool_x = pooling ? pick(1, 2) : 1;
        for (int64_t n : {outputs, inputs, rows, columns, pad_y, pad_x, activation, pooling, pool_y, pool_x,
                          int64_t(i >= convolutions)})
            numbers.push_back(n);
        inputs = outputs, height /= pool_y, width /= pool_x;
    }
    return numbers;
}

static bool same_bits(const std::vector<Floats>& one, const std::vector<Floats>& other) {
    if (one.empty() || one.size() != other.size()) return false;
    for (size_t i = 0; i < one.size(); i++) {
        if (one[i].size() != other[i].size()) return false;
        if (!one[i].empty() && std::memcmp(one[i].data(), other[i].data(), one[i].size() * sizeof(float))) return false;
    }
    return true;
}

// Sizes at the edges of what is allowed, of vectors and of integers.
static int64_t edge(std::mt19937& random) {
    static const int64_t edges[] = {0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 1 << 16, (1 << 16) + 1, 1 << 30,
                                    (1LL << 31) - 1, 1LL << 31, 1LL << 32, INT64_MAX, INT64_MIN, -1};
    return edges[random() % (sizeof(edges) / sizeof(*edges))];
}

// Numbers that fit a network, some of them replaced by an edge.
static void put_edges(std::vector<int64_t>& numbers, std::mt19937& random) {
    for (int i = 1 + random() % 3; i > 0; i--) numbers[random() % numbers.size()] = edge(random);
}

static int fail(const char* what) { return std::fprintf(stderr, "%s\n", what), 1; }

// Training one image at a time: convolutions with random links, each with subsampling, then dense layers.
struct Online {
    std::vector<int64_t> numbers, links;
    OnlineNetwork network{};
    bool possible;
    Tensors weights, biases, weight_rates, bias_rates;
    Floats pixels, scale;
    std::vector<int64_t> labels{0, 1, 0};

    Online(int convolutions, int dense, std::mt19937& random) {
        auto pick = [&](int from, int to) { return int(from + random() % (to - from + 1)); };
        const int classes = pick(2, 20);
        int inputs = 1, layers = 0, side = pick(8, 36);
        numbers = {0, side, classes, pick(0, 1), pick(0, 1), pick(0, 1)};
        for (int i = 0; i < convolutions; i++, layers += 2) {
            const int outputs = pick(1, 5), copies = pick(1, 2), before = links.size();
            for (int output = 0; output < outputs; output++)
                for (int input = 0; input < inputs; input++)
                    if (pick(0, 2)) links.insert(links.end(), {output, input});
            if (int(links.size()) == before) links.insert(links.end(), {0, 0});
            numbers.insert(numbers.end(), {CONVOLUTION, outputs, int(links.size() - before) / 2});
            numbers.insert(numbers.end(), {SUBSAMPLING, outputs * copies, 0});
            inputs = outputs * copies;
        }
        for (int i = 0; i < dense; i++, layers++) numbers.insert(numbers.end(), {DENSE, pick(1, 40), 0});
        numbers[0] = layers;
        possible = read_online(numbers.data(), links.data(), network);
        if (!possible) return;
        auto add = [&](long weight, long bias) {
            weights.add(make(random, weight)), biases.add(make(random, bias));
            weight_rates.add(Floats(weight, 1e-3f)), bias_rates.add(Floats(bias, 1e-3f));
        };
        for (int i = 0; i < network.count; i++) {
            const OnlineLayer& layer = network.layers[i];
            const long sizes[] = {25 * layer.link_count, layer.outputs, layer.outputs * layer.width};
            add(sizes[layer.kind], layer.outputs);
        }
        add(classes * network.code, classes);
        pixels = make(random, 3L * side * side), scale = Floats(classes, 0.01f);
    }
    int run() {
        Floats logits(3 * network.classes);
        return lenet_online_learn(numbers.data(), links.data(), 3, pixels.data(), labels.data(), weights.pointers.data(),
                                  biases.pointers.data(), weight_rates.pointers.data(), bias_rates.pointers.data(),
                                  scale.data(), logits.data());
    }
};

int main(int count, char** words) {
    std::mt19937 random(1);
    auto pick = [&](int from, int to) { return int(from + random() % (to - from + 1)); };
    const int rounds = count > 1 ? std::atoi(words[1]) : 100;
    int refused = 0, done = 0;
    for (int round = 0; round < rounds; round++) {
        lenet_choose(round % 3);
        std::vector<int64_t> numbers{pick(1, 40), pick(1, 3), pick(1, 20), pick(1, 20), pick(0, 3), pick(0, 3), pick(0, 2), pick(1, 3)};
        for (int i = 0; i < numbers[7]; i++) {
            numbers.push_back(pick(1, 9));
            numbers.push_back(pick(1, pick(1, 11)));
        }
        ConvolutionShape shape;
        if (!read_convolutions(numbers.data(), shape)) {
            refused++;
            if (lenet_convolution_saved_size(numbers.data()) != -1) return fail("an impossible shape has a size");
            if (lenet_convolution_forward(numbers.data(), nullptr, nullptr, nullptr, nullptr, nullptr, 1) != 1)
                return fail("an impossible shape is computed");
            continue;
        }
        done++;
        const Convolutions call(numbers, random);
        if (!same_bits(call.run(1, round % 2), call.run(pick(2, 4), round % 2))) return fail("convolutions differ");
    }
    for (int round = 0; round < rounds; round++) {
        lenet_choose(round % 3);
        std::vector<int64_t> numbers{pick(1, 70), pick(0, 3), pick(1, 4), pick(1, 70)};
        for (int i = 0; i < numbers[2]; i++) numbers.push_back(pick(1, 70));
        const Dense call(numbers, random);
        if (!same_bits(call.run(1, round % 2), call.run(pick(2, 4), round % 2))) return fail("dense layers differ");
        numbers[2] = 0;
        if (lenet_dense_forward(numbers.data(), nullptr, nullptr, nullptr, nullptr, 1) != 1)
            return fail("no layers are computed");
    }
    int hostile = 0;
    for (int round = 0; round < 20 * rounds; round++) {
        lenet_choose(round % 3);
        std::vector<int64_t> numbers{pick(0, 9), pick(1, 3), pick(1, 12), pick(1, 12), pick(0, 2), pick(0, 3), pick(0, 2), 2,
                                     pick(1, 9), pick(1, 5), pick(1, 9), pick(1, 5)};
        put_edges(numbers, random);
        numbers.resize(8 + 2 * MAXIMUM_LAYERS, 1);  // as the adapter does: as many as the number of layers says
        ConvolutionShape shape;
        if (!read_convolutions(numbers.data(), shape)) {
            if (lenet_convolution_saved_size(numbers.data()) != -1 ||
                lenet_convolution_forward(numbers.data(), nullptr, nullptr, nullptr, nullptr, nullptr, 1) != 1 ||
                lenet_convolution_backward(numbers.data(), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                                           1) != 1)
                return fail("impossible numbers are computed");
            hostile++;
        } else if (lenet_convolution_saved_size(numbers.data()) < 0) {
            return fail("the size of a possible shape is negative");
        } else if (shape.images * (shape.channels + 16.0) * (shape.height + 4.0) * (shape.width + 4.0) < 1e5) {
            const Convolutions call(numbers, random);
            if (!same_bits(call.run(1, round % 2), call.run(3, round % 2))) return fail("convolutions at an edge differ");
        }
        std::vector<int64_t> widths{pick(1, 9), pick(0, 3), 3, pick(1, 20), pick(1, 20), pick(1, 20), pick(1, 20)};
        put_edges(widths, random);
        DenseShape layers;
        widths.resize(4 + MAXIMUM_LAYERS, 1);
        if (!read_dense(widths.data(), layers)) {
            if (lenet_dense_forward(widths.data(), nullptr, nullptr, nullptr, nullptr, 1) != 1 ||
                lenet_dense_backward(widths.data(), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, 1) != 1)
                return fail("impossible widths are computed");
            hostile++;
        } else if (layers.images * double(layers.maximum_width()) < 1e5 && layers.maximum_width() < 100) {
            widths.resize(4 + layers.count);
            const Dense call(widths, random);
            if (!same_bits(call.run(1, round % 2), call.run(3, round % 2))) return fail("dense layers at an edge differ");
        }
    }
    int networks = 0;
    for (int round = 0; round < 4 * rounds; round++) {
        lenet_choose(round % 3);
        const bool contrast = round % 4 == 1;
        const int64_t height = pick(1, 20), width = contrast ? height : pick(1, 20);
        std::vector<int64_t> numbers = draw_network(random, height, width, contrast);
        if (round % 2) {
            const Inference inference(numbers, pick(0, 20), height, width, random);
            if (!inference.possible()) return fail("a possible network is refused");
            if (inference.images && !same_bits(inference.run(1, round % 4 < 2), inference.run(3, round % 4 < 2)))
                return fail("inference differs");
            networks++;
        } else {
            const int64_t layers = numbers[0];
            put_edges(numbers, random);
            numbers.resize(2 + 11 * MAXIMUM_NETWORK_LAYERS, 1);
            Network network{};
            if (!read_network(numbers.data(), network)) {
                if (lenet_network_pack(numbers.data(), nullptr, nullptr, nullptr, nullptr)) return fail("impossible layers");
                hostile++;
                continue;
            }
            double floats = 0;
            for (int i = 0; i < network.count; i++) floats += network.layers[i].fan_in() * double(network.layers[i].outputs);
            if (floats > 1e6 || network.contrast_side > 64 || network.count > layers) continue;
            const Inference inference(numbers, 3, height, width, random);
            if (inference.possible() && !same_bits(inference.run(1, true), inference.run(2, true)))
                return fail("inference at an edge differs");
        }
    }
    int trained = 0;
    for (int round = 0; round < rounds; round++) {
        lenet_choose(round % 3);
        Online online(pick(1, 2), pick(0, 2), random);
        if (online.possible != !online.run()) return fail("training one image at a time");
        trained += online.possible;
        if (!online.possible) continue;
        put_edges(online.numbers, random);
        online.numbers.resize(6 + 3 * MAXIMUM_LAYERS, 1), online.links.resize(1 << 16, 0);
        bool few = true;  // links that a hostile number asks for
        for (int i = 0; i < MAXIMUM_LAYERS; i++) few = few && online.numbers[8 + 3 * i] < 1000;
        OnlineNetwork network{};
        if (few && !read_online(online.numbers.data(), online.links.data(), network)) hostile++;
    }
    if (!trained) return fail("nothing was trained");
    lenet_choose(-1);
    // Each of two callers has the team at times, and works alone at times; both must have the bits of one thread.
    const Convolutions convolutions({70, 1, 12, 12, 1, RELU, MAX, 2, 4, 3, 5, 3}, random);
    const Dense dense({70, TANH, 3, 40, 33, 17, 10}, random);
    const Inference inference(draw_network(random, 12, 12, true), 70, 12, 12, random);
    const auto features = convolutions.run(1, true), logits = dense.run(1, true), results = inference.run(1, true);
    std::atomic<int> wrong{0};
    auto contend = [&](int first) {
        for (int round = 0; round < rounds; round++) {
            if ((round + first) % 3 == 1)
                wrong += !same_bits(convolutions.run(3, true), features);
            else if ((round + first) % 3)
                wrong += !same_bits(inference.run(3, true), results);
            else
                wrong += !same_bits(dense.run(3, true), logits);
        }
    };
    std::thread one(contend, 0), other(contend, 1);
    one.join(), other.join();
    if (wrong) return fail("two callers at once compute something else");
    std::printf("%d shapes computed, %d refused, %d hostile ones refused\n", done, refused, hostile);
    return done && hostile && networks ? 0 : 1;
}
