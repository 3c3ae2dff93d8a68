// Random shapes through every instruction set, every buffer exactly as long as it must be; for the sanitizers.
#include "../../src/lenet/kernels/blocks.cpp"

#include <cstdio>
#include <random>
#include <vector>

static std::vector<float> make(std::mt19937& random, long size) {
    std::vector<float> values(size);
    for (float& value : values) value = std::normal_distribution<float>()(random);
    return values;
}

int main(int count, char** words) {
    std::mt19937 random(1);
    auto pick = [&](int from, int to) { return int(from + random() % (to - from + 1)); };
    int refused = 0, done = 0;
    for (int round = 0; round < (count > 1 ? std::atoi(words[1]) : 100); round++) {
        lenet_choose(round % 3);
        int64_t numbers[8 + 2 * 3] = {pick(1, 40), pick(1, 3), pick(1, 20), pick(1, 20), pick(0, 3), pick(0, 3), pick(0, 2), pick(1, 3)};
        for (int i = 0; i < numbers[7]; i++) numbers[8 + 2 * i] = pick(1, 9), numbers[9 + 2 * i] = pick(1, pick(1, 11));
        Shape shape;
        if (!read_shape(numbers, shape)) {
            refused++;
            if (lenet_saved_size(numbers) != -1 || lenet_forward(numbers, nullptr, nullptr, nullptr, nullptr, nullptr, 1) != 1) return 1;
            continue;
        }
        done++;
        auto images = make(random, shape.images * shape.channels * shape.height * shape.width), image_gradient = images;
        auto gradient = make(random, shape.images * shape.last().out_size()), features = gradient;
        void* saved = nullptr;
        if (posix_memalign(&saved, 64, lenet_saved_size(numbers) * sizeof(float))) return 1;
        std::vector<std::vector<float>> values, gradients;
        std::vector<float*> weights, biases, weight_gradients, bias_gradients;
        for (int i = 0; i < shape.count; i++)
            for (long size : {shape.blocks[i].outputs * shape.blocks[i].fan_in(), long(shape.blocks[i].outputs)})
                values.push_back(make(random, size)), gradients.push_back(values.back());
        for (int i = 0; i < shape.count; i++) {
            weights.push_back(values[2 * i].data()), biases.push_back(values[2 * i + 1].data());
            weight_gradients.push_back(gradients[2 * i].data()), bias_gradients.push_back(gradients[2 * i + 1].data());
        }
        int threads = pick(1, 3), code = 0;
        code |= lenet_forward(numbers, images.data(), weights.data(), biases.data(), features.data(), nullptr, threads);
        code |= lenet_forward(numbers, images.data(), weights.data(), biases.data(), features.data(), (float*)saved, threads);
        code |= lenet_backward(numbers, gradient.data(), images.data(), (float*)saved, weights.data(),
                               round % 2 ? image_gradient.data() : nullptr, weight_gradients.data(), bias_gradients.data(), threads);
        std::free(saved);
        if (code) return std::fprintf(stderr, "code %d\n", code), 1;
    }
    std::printf("%d shapes computed, %d refused\n", done, refused);
    return done ? 0 : 1;
}
