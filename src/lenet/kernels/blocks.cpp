// The feature extractor of a LeNet in one pass: every block is convolution + bias, pooling, activation.
//
// WHY. PyTorch's kernels want many channels; 1 -> 6 -> 16 leaves them idle, and every operator sends all maps
// through memory. Here the vector lanes are IMAGES, not channels or columns:
//
//     map[channel][row][column] is one vector: the same pixel of LANES images        (a "tile" of a batch)
//
// so that every loop over channels, rows, columns and taps is plain vector arithmetic, whatever the sizes, with no
// remainder but the last images of the batch. A tile stays in this layout, and in cache, from pixels to features.
//
// HOW TO READ. The file includes itself once for each instruction set: the second half (from `#else`) is the
// arithmetic, written once with the compiler's vector types; the first half is threads, choice and entry points.
// Nothing of the standard library is used in the second half: its inline functions would be compiled for the widest
// instruction set and then shared with machines that do not have it.

#ifndef LANES

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <thread>

namespace {

enum Activation { IDENTITY, RELU, TANH, SIGMOID };
enum Pooling { NONE, MAX, AVG };
constexpr int MOST_BLOCKS = 16, MOST_GROUPS = 64, LOOK_OUT = 20;  // microseconds
constexpr double MOST_FLOATS = 1 << 26;  // of scratch memory a thread: 256 MB; larger maps are left to PyTorch

struct Block {  // one convolution with what follows it; the sizes are of one image
    int inputs, outputs, kernel;
    int in_height, in_width;    // with padding
    int height, width;          // of the convolution's result
    int out_height, out_width;  // after pooling
    bool pools;
    long in_size() const { return long(inputs) * in_height * in_width; }
    long out_size() const { return long(outputs) * out_height * out_width; }
    long fan_in() const { return long(inputs) * kernel * kernel; }
};

struct Shape {
    long images;
    int channels, height, width, padding, activation, pooling, count;
    Block blocks[MOST_BLOCKS];
    const Block& last() const { return blocks[count - 1]; }
};

// numbers: images, channels, height, width, padding, activation, pooling, count, then outputs and kernel of each block.
bool read_shape(const int64_t* numbers, Shape& shape) {
    for (int i = 0; i < 8; i++)
        if (numbers[i] < 0 || numbers[i] > (i ? 1 << 16 : 1 << 30)) return false;
    shape.images = numbers[0];
    shape.channels = numbers[1], shape.height = numbers[2], shape.width = numbers[3];
    shape.padding = numbers[4], shape.activation = numbers[5], shape.pooling = numbers[6], shape.count = numbers[7];
    if (shape.activation > SIGMOID || shape.pooling > AVG || shape.count < 1 || shape.count > MOST_BLOCKS) return false;
    int inputs = shape.channels, height = shape.height + 2 * shape.padding, width = shape.width + 2 * shape.padding;
    double floats = 0;
    for (int i = 0; i < shape.count; i++) {
        int64_t outputs = numbers[8 + 2 * i], kernel = numbers[9 + 2 * i];
        if (inputs < 1 || outputs < 1 || outputs > 1 << 16 || kernel < 1 || kernel > height || kernel > width) return false;
        Block& b = shape.blocks[i];
        b.inputs = inputs, b.outputs = outputs, b.kernel = kernel, b.in_height = height, b.in_width = width;
        b.height = height - kernel + 1, b.width = width - kernel + 1;
        b.pools = shape.pooling != NONE && b.height > 1 && b.width > 1;
        b.out_height = b.pools ? b.height / 2 : b.height, b.out_width = b.pools ? b.width / 2 : b.width;
        inputs = outputs, height = b.out_height, width = b.out_width;
        // generous: input, result with its margin, gradients of both, and the packed weights
        floats += 16.0 * (3.0 * b.inputs * b.in_height * b.in_width + 4.0 * outputs * b.height * (b.width + 8.0));
        floats += 24.0 * double(b.inputs) * outputs * (kernel + 6.0) * (kernel + 6.0);
    }
    return floats < MOST_FLOATS;
}

struct Dense {  // the fully connected layers behind the blocks
    long images;
    int activation, count, widths[MOST_BLOCKS + 1];  // of the input, then of each layer
    long largest() const {
        long most = 0;
        for (int i = 0; i <= count; i++) most = widths[i] > most ? widths[i] : most;
        return most;
    }
};

// numbers: images, activation, number of layers, then widths.
bool read_dense(const int64_t* numbers, Dense& dense) {
    if (numbers[0] < 1 || numbers[0] > 1 << 20 || numbers[1] < 0 || numbers[1] > SIGMOID) return false;
    if (numbers[2] < 1 || numbers[2] > MOST_BLOCKS) return false;
    dense.images = numbers[0], dense.activation = numbers[1], dense.count = numbers[2];
    for (int i = 0; i <= dense.count; i++) {
        if (numbers[3 + i] < 1 || numbers[3 + i] > 1 << 16) return false;
        dense.widths[i] = numbers[3 + i];
    }
    return true;
}

// ---- threads: a few sleepers that take tasks from a counter ---------------------------------------------------------

struct Task {
    void (*run)(const void* self, int number);
    const void* self;
};

// What a task computes never depends on the thread that took it, so results are the same bits for every number of
// threads. A worker that wakes too late finds the job closed; nobody waits for it. Waking a sleeper takes as long as a
// small job: who waits looks out for a moment before it falls asleep, since the next job mostly follows at once.
class Team {
public:
    void run(int threads, int tasks, Task task) {
        std::unique_lock<std::mutex> only(busy_, std::try_to_lock);
        if (threads < 2 || tasks < 2 || !only.owns_lock()) {  // another Python thread has the team: work alone
            for (int i = 0; i < tasks; i++) task.run(task.self, i);
            return;
        }
        const int helpers = (threads < tasks ? threads : tasks) - 1;
        {
            std::lock_guard<std::mutex> guard(mutex_);
            try {
                for (; size_ < helpers; size_++) std::thread([this] { work(); }).detach();
            } catch (const std::exception&) {  // no more threads to be had: go on with those there are
            }
            task_ = task, tasks_ = tasks, next_ = 0, seats_ = helpers, failed_ = false, job_++;
        }
        wake_.notify_all();
        take_tasks();
        {
            std::lock_guard<std::mutex> guard(mutex_);
            seats_ = 0;
        }
        look_out([this] { return working_ == 0; });
        std::unique_lock<std::mutex> guard(mutex_);
        done_.wait(guard, [this] { return working_ == 0; });
        if (failed_) throw std::bad_alloc();
    }

private:
    void take_tasks() {
        try {
            for (int i; (i = next_.fetch_add(1)) < tasks_;) task_.run(task_.self, i);
        } catch (const std::bad_alloc&) {
            failed_ = true;
        }
    }
    void work() {
        std::unique_lock<std::mutex> guard(mutex_);
        for (long seen = 0;;) {
            guard.unlock();
            look_out([&] { return job_ != seen; });
            guard.lock();
            wake_.wait(guard, [&] { return job_ != seen; });
            seen = job_;
            if (seats_ == 0) continue;
            seats_--, working_++;
            guard.unlock();
            take_tasks();
            guard.lock();
            if (--working_ == 0) done_.notify_one();
        }
    }
    template <class Condition>
    static void look_out(const Condition& happened) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(LOOK_OUT);
        while (!happened() && std::chrono::steady_clock::now() < end)
            for (int i = 0; i < 32 && !happened(); i++) std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    std::mutex busy_, mutex_;
    std::condition_variable wake_, done_;
    std::atomic<int> next_{0}, working_{0};
    std::atomic<long> job_{0};
    std::atomic<bool> failed_{false};
    Task task_{};
    int tasks_ = 0, seats_ = 0, size_ = 0;
};

// A forked child has none of its parent's threads, and perhaps a lock that nobody will open: it gets a team of its own.
// Teams are never destroyed, for their threads may still sleep in them when the process ends.
void run_tasks(int threads, int tasks, Task task) {
    static std::atomic<Team*> team{nullptr};
    static std::atomic<pid_t> owner{0};
    if (owner != getpid()) team = new Team, owner = getpid();
    team.load()->run(threads, tasks, task);
}

// Memory that a thread keeps from call to call: fresh pages would cost more than the arithmetic done in them.
class Scratch {
public:
    ~Scratch() { std::free(memory_); }
    void* get(size_t bytes) {
        if (bytes > size_) {
            std::free(memory_);
            size_ = 0;
            memory_ = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
            if (!memory_) throw std::bad_alloc();
            size_ = bytes;
        }
        return memory_;
    }

private:
    void* memory_ = nullptr;
    size_t size_ = 0;
};

enum Use { TILE, TOTALS, PANELS, SLOPES };
template <Use use>
void* scratch(size_t bytes) {
    static thread_local Scratch own;
    return own.get(bytes);
}

struct Call {  // what Python hands over: NCHW floats, all contiguous
    const float *images, *gradient;  // gradient: of the features, when going backward
    float *features, *saved, *image_gradient;
    const float *const *weights, *const *biases;
    float *const *weight_gradients, *const *bias_gradients;
};

}  // namespace

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#if defined(__clang__)
#define TARGET_BEGIN(features) _Pragma(STRING(clang attribute push(__attribute__((target(features))), apply_to = function)))
#define TARGET_END _Pragma("clang attribute pop")
#else
#define TARGET_BEGIN(features) _Pragma("GCC push_options") _Pragma(STRING(GCC target(features)))
#define TARGET_END _Pragma("GCC pop_options")
#endif
#define STRING(...) #__VA_ARGS__

// Columns and channels that are computed at once, chosen so that the accumulators fill the registers.
#if defined(__x86_64__)
TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
namespace avx512 {
#define LANES 16
#define MANY_REGISTERS 1
#include "blocks.cpp"
#undef LANES
#undef MANY_REGISTERS
}
TARGET_END
TARGET_BEGIN("avx2,fma")
namespace avx2 {
#define LANES 8
#define MANY_REGISTERS 0
#include "blocks.cpp"
#undef LANES
#undef MANY_REGISTERS
}
TARGET_END
#endif
namespace baseline {  // SSE2 on x86-64, NEON on ARM
#define LANES 4
#if defined(__aarch64__)
#define MANY_REGISTERS 1
#else
#define MANY_REGISTERS 0
#endif
#include "blocks.cpp"
#undef LANES
#undef MANY_REGISTERS
}

// ---- entry points for Python: plain C, so that one library serves every Python --------------------------------------

namespace {

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

template <class Plan, class Function>
int guarded(bool (*read)(const int64_t*, Plan&), const int64_t* numbers, Function function) {
    Plan shape;
    if (!read(numbers, shape)) return 1;
    try {
        function(shape);
        return 0;
    } catch (const std::bad_alloc&) {
        return 2;
    } catch (...) {
        return 3;
    }
}

}  // namespace

#if defined(__x86_64__)
#define DISPATCH(call) (chosen == 2 ? avx512::call : chosen == 1 ? avx2::call : baseline::call)
#else
#define DISPATCH(call) baseline::call
#endif
#define EXPORT extern "C" __attribute__((visibility("default")))

// Take the instruction set `wanted` (0, 1, 2) if the machine has it, the best one if it is -1. Returns what was taken.
EXPORT int lenet_choose(int wanted) {
    int most = best();
    return chosen = wanted < 0 || wanted > most ? most : wanted;
}

// Floats that backward needs from forward; -1 where the shape is impossible or too large for this kernel.
EXPORT int64_t lenet_saved_size(const int64_t* numbers) {
    Shape shape;
    return read_shape(numbers, shape) ? DISPATCH(saved_size(shape)) : -1;
}

EXPORT int lenet_forward(const int64_t* numbers, const float* images, const float* const* weights,
                         const float* const* biases, float* features, float* saved, int threads) {
    return guarded(read_shape, numbers, [&](const Shape& shape) {
        Call call{images, nullptr, features, saved, nullptr, weights, biases, nullptr, nullptr};
        DISPATCH(forward(shape, call, threads));
    });
}

EXPORT int lenet_backward(const int64_t* numbers, const float* gradient, const float* images, const float* saved,
                          const float* const* weights, float* image_gradient, float* const* weight_gradients,
                          float* const* bias_gradients, int threads) {
    return guarded(read_shape, numbers, [&](const Shape& shape) {
        Call call{images,  gradient, nullptr,          const_cast<float*>(saved), image_gradient,
                  weights, nullptr,  weight_gradients, bias_gradients};
        DISPATCH(backward(shape, call, threads));
    });
}

EXPORT int lenet_dense_forward(const int64_t* numbers, const float* input, const float* const* weights,
                               const float* const* biases, float* const* outputs, int threads) {
    return guarded(read_dense, numbers, [&](const Dense& dense) {
        DISPATCH(dense_forward(dense, input, weights, biases, outputs, threads));
    });
}

EXPORT int lenet_dense_backward(const int64_t* numbers, const float* gradient, const float* input,
                                const float* const* outputs, const float* const* weights, float* input_gradient,
                                float* const* weight_gradients, float* const* bias_gradients, int threads) {
    return guarded(read_dense, numbers, [&](const Dense& dense) {
        DISPATCH(dense_backward(dense, gradient, input, outputs, weights, input_gradient, weight_gradients, bias_gradients,
                                threads));
    });
}

#else  // ---- the arithmetic, once for each instruction set ------------------------------------------------------------

typedef float V __attribute__((vector_size(4 * LANES)));
typedef int32_t I __attribute__((vector_size(4 * LANES)));
typedef float Loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias));  // anywhere in memory
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

INLINE int least(int a, int b) { return a < b ? a : b; }
INLINE long most(long a, long b) { return a > b ? a : b; }
INLINE int round_up(int n, int step) { return (n + step - 1) / step * step; }
INLINE V splat(float x) { return x - V{}; }

// Loads past the end of a row are harmless: they read the next row, and what comes of them is thrown away. Past the end
// of the last row there must be memory, though.
constexpr int SLACK = 32;

template <class Function>
static void run_all(int threads, int tasks, const Function& function) {
    run_tasks(threads, tasks, {[](const void* self, int number) { (*(const Function*)self)(number); }, &function});
}

// ---- activations: value from input, slope from VALUE (so that only outputs need to be kept) -------------------------

INLINE V select(I which, V yes, V no) { return which ? yes : no; }

// e^x = scale * (1 + rest), the rest exact near zero (Cephes' reduction, Taylor to the seventh power: 1e-7).
INLINE void split_exp(V x, V& scale, V& rest) {
    x = select(x > 88.0f, splat(88.0f), x);  // a NaN stays one: comparisons with it are false
    x = select(x < -87.0f, splat(-87.0f), x);
    const float round = 12582912.0f;  // 1.5 * 2^23: what is added to it loses its fraction
    V n = (x * 1.44269504f + round) - round;
    V r = x - n * 0.693359375f + n * 2.12194440e-4f;
    V series = 1 / 720.0f + r * (1 / 5040.0f);
    series = 1 / 6.0f + r * (1 / 24.0f + r * (1 / 120.0f + r * series));
    rest = r + r * r * (0.5f + r * series);
    I exponent = (__builtin_convertvector(n, I) + 127) << 23;
    scale = (V)exponent;
}

INLINE V activate(V x, int activation) {
    V scale, rest;
    switch (activation) {
        case RELU: return select(x <= 0.0f, V{}, x);
        case SIGMOID: split_exp(-x, scale, rest); return 1.0f / (1.0f + (scale + scale * rest));
        case TANH: {
            split_exp(2.0f * x, scale, rest);
            V e = scale * rest + (scale - 1.0f);  // e^2x - 1
            return select(x > 20.0f, splat(1.0f), e / (e + 2.0f));
        }
        default: return x;
    }
}

INLINE V times_slope(V gradient, V value, int activation) {
    switch (activation) {
        case RELU: return select(value <= 0.0f, V{}, gradient);
        case SIGMOID: return gradient * value * (1.0f - value);
        case TANH: return gradient * (1.0f - value * value);
        default: return gradient;
    }
}

// ---- between NCHW and tiles ------------------------------------------------------------------------------------------

INLINE V shuffle(V a, V b, I index) {
#if defined(__clang__)
    V result;
    for (int i = 0; i < LANES; i++) result[i] = index[i] < LANES ? a[index[i]] : b[index[i] - LANES];
    return result;
#else
    return __builtin_shuffle(a, b, index);
#endif
}

// Square blocks of half the side change places, then those of a quarter, ...
INLINE void transpose(V* rows) {
    I lane;
    for (int i = 0; i < LANES; i++) lane[i] = i;
    UNROLL for (int half = LANES / 2; half; half /= 2) {
        I upper = (lane & half) != 0;
        I first = upper ? lane + (LANES - half) : lane, second = upper ? lane + LANES : lane + half;
        UNROLL for (int i = 0; i < LANES; i++) {
            if (i & half) continue;
            V a = rows[i], b = rows[i + half];
            rows[i] = shuffle(a, b, first), rows[i + half] = shuffle(a, b, second);
        }
    }
}

// `count` numbers of each of `images` images -> vectors; missing images are zeros.
static void load_tile(const float* source, long image_stride, int images, int count, V* tile) {
    for (int start = 0; start < count; start += LANES) {
        V rows[LANES];
        int here = least(LANES, count - start);
        for (int i = 0; i < LANES; i++) {
            const float* from = source + i * image_stride + start;
            rows[i] = V{};
            if (i < images && here == LANES)
                rows[i] = *(const Loose*)from;
            else if (i < images)
                for (int n = 0; n < here; n++) rows[i][n] = from[n];
        }
        transpose(rows);
        for (int i = 0; i < here; i++) tile[start + i] = rows[i];
    }
}

static void store_tile(const V* tile, int count, float* target, long image_stride, int images) {
    for (int start = 0; start < count; start += LANES) {
        V rows[LANES];
        int here = least(LANES, count - start);
        for (int i = 0; i < LANES; i++) rows[i] = i < here ? tile[start + i] : V{};
        transpose(rows);
        for (int i = 0; i < images; i++) {
            float* to = target + i * image_stride + start;
            if (here == LANES)
                *(Loose*)to = rows[i];
            else
                for (int n = 0; n < here; n++) to[n] = rows[i][n];
        }
    }
}

// Images with the padding of the first convolution around them.
static void load_images(const Shape& s, const Call& call, long first, int images, V* staging, V* tile) {
    const Block& b = s.blocks[0];
    const int size = s.channels * s.height * s.width;
    if (!s.padding) return load_tile(call.images + first * size, size, images, size, tile);
    load_tile(call.images + first * size, size, images, size, staging);
    __builtin_memset(tile, 0, b.in_size() * sizeof(V));
    for (int channel = 0; channel < s.channels; channel++)
        for (int y = 0; y < s.height; y++)
            __builtin_memcpy(tile + (long(channel) * b.in_height + y + s.padding) * b.in_width + s.padding,
                             staging + (channel * s.height + y) * s.width, s.width * sizeof(V));
}

// Adds the sum over the lanes of each of `count` vectors to `target`; `sums` has room for a multiple of LANES.
INLINE void add_lane_sums(V* sums, int count, float* target) {
    for (int start = 0; start < count; start += LANES) {
        transpose(sums + start);
        V total = sums[start];
        for (int i = 1; i < LANES; i++) total += sums[start + i];
        for (int i = 0; i < least(LANES, count - start); i++) target[start + i] += total[i];
    }
}

// ---- forward ---------------------------------------------------------------------------------------------------------

// One row of O channels of a convolution. To the inner loop a convolution is a list of taps: where to look, and how much
// to weigh it. O x X accumulators stay in registers while all taps go by.
template <int O, int X>
static void convolve_row(const V* input, const int* offsets, const float* weights, int taps, const float* bias, int width,
                         V* output, int stride) {
    for (int x0 = 0; x0 < width; x0 += X) {
        V sum[O][X];
        UNROLL for (int o = 0; o < O; o++) UNROLL for (int x = 0; x < X; x++) sum[o][x] = splat(bias[o]);
        for (int tap = 0; tap < taps; tap++) {
            const V* in = input + offsets[tap] + x0;
            UNROLL for (int o = 0; o < O; o++) {
                V weight = splat(weights[tap * O + o]);
                UNROLL for (int x = 0; x < X; x++) sum[o][x] += weight * in[x];
            }
        }
        UNROLL for (int o = 0; o < O; o++) UNROLL for (int x = 0; x < X; x++) output[o * stride + x0 + x] = sum[o][x];
    }
}

struct RowKernel {
    int channels, columns;
    decltype(&convolve_row<1, 1>) run;
};
#if MANY_REGISTERS
constexpr RowKernel ROW_KERNELS[] = {{3, 7, convolve_row<3, 7>}, {4, 5, convolve_row<4, 5>}, {8, 3, convolve_row<8, 3>}, {8, 1, convolve_row<8, 1>}};
#else
constexpr RowKernel ROW_KERNELS[] = {{2, 5, convolve_row<2, 5>}, {3, 4, convolve_row<3, 4>}, {4, 3, convolve_row<4, 3>}, {8, 1, convolve_row<8, 1>}};
#endif
constexpr int MOST_CHANNELS = 8, MOST_COLUMNS = 7;

// The one that computes the fewest results that nobody wants.
static const RowKernel& choose_row_kernel(const Block& b) {
    const RowKernel* found = ROW_KERNELS;
    double fewest = 1e30;
    for (const RowKernel& k : ROW_KERNELS) {
        double work = double(round_up(b.outputs, k.channels)) * round_up(b.width, k.columns) * (k.columns == 1 ? 2 : 1);
        if (work < fewest) fewest = work, found = &k;
    }
    return *found;
}

struct Packed {  // weights in the order in which the inner loop wants them, made once a call
    const RowKernel* kernel;
    int *offsets;
    float *weights, *biases;
};

static Packed pack(const Block& b, const float* weights, const float* biases) {
    const RowKernel& kernel = choose_row_kernel(b);
    int taps = b.fan_in(), step = kernel.channels, padded = round_up(b.outputs, step);
    Packed p{&kernel, new int[taps], new float[long(padded) * taps], new float[padded]};
    int tap = 0;
    for (int i = 0; i < b.inputs; i++)
        for (int y = 0; y < b.kernel; y++)
            for (int x = 0; x < b.kernel; x++) p.offsets[tap++] = (i * b.in_height + y) * b.in_width + x;
    for (int o = 0; o < padded; o++) {
        p.biases[o] = o < b.outputs ? biases[o] : 0;
        for (tap = 0; tap < taps; tap++)
            p.weights[(long(o / step) * taps + tap) * step + o % step] = o < b.outputs ? weights[long(o) * taps + tap] : 0;
    }
    return p;
}

// What forward keeps of a tile for backward: outputs of each block, and beside them either which of the four pixels of a
// window was the largest (two bits: right, lower; 16 windows of a row in one vector of integers) or, for the average, the
// activations before pooling.
INLINE int window_words(const Block& b) { return (b.out_width + 15) / 16; }

static long extra_size(const Shape& s, const Block& b) {
    if (!b.pools) return 0;
    return long(b.outputs) * (s.pooling == MAX ? b.out_height * window_words(b) : b.height * b.width);
}

static long tile_size(const Shape& s) {
    long size = SLACK;
    for (int i = 0; i < s.count; i++) size += s.blocks[i].out_size() + extra_size(s, s.blocks[i]);
    return size;
}

static long tile_count(const Shape& s) { return (s.images + LANES - 1) / LANES; }

static int64_t saved_size(const Shape& s) { return tile_count(s) * tile_size(s) * LANES; }

// Largest of each 2x2 window, the first in reading order where several are, a NaN where there is one: as PyTorch does.
INLINE void pool_max(const V* upper, const V* lower, int width, int activation, V* output, I* windows) {
    I word = {};
    for (int x = 0; x < width; x++) {
        V best = upper[2 * x];
        I index = {};
        const V others[] = {upper[2 * x + 1], lower[2 * x], lower[2 * x + 1]};
        UNROLL for (int i = 0; i < 3; i++) {
            I better = (others[i] > best) | (others[i] != others[i]);
            best = select(better, others[i], best);
            index = better ? I{} + (i + 1) : index;
        }
        // The activations never fall, so the largest stays the largest: one in four is enough.
        output[x] = activate(best, activation);
        word |= index << (2 * (x % 16));
        if (x % 16 == 15 || x == width - 1) windows[x / 16] = word, word = I{};
    }
}

static void forward_block(const Shape& s, const Block& b, const Packed& p, const V* input, V* output, V* extra, V* rows) {
    const int step = p.kernel->channels, taps = b.fan_in(), stride = round_up(b.width, p.kernel->columns);
    const int lines = b.pools ? 2 : 1;
    // An odd last row is never computed; but what is kept has no bits that depend on chance.
    if (b.pools && s.pooling == AVG && b.height % 2)
        for (int o = 0; o < b.outputs; o++) __builtin_memset(extra + (long(o + 1) * b.height - 1) * b.width, 0, b.width * sizeof(V));
    for (int y = 0; y < b.out_height; y++) {
        for (int o0 = 0; o0 < b.outputs; o0 += step) {
            for (int line = 0; line < lines; line++)
                p.kernel->run(input + long(y * lines + line) * b.in_width, p.offsets, p.weights + long(o0) * taps, taps,
                              p.biases + o0, b.width, rows + line * stride, 2 * stride);
            for (int o = o0; o < least(o0 + step, b.outputs); o++) {
                V *upper = rows + (o - o0) * 2 * stride, *lower = upper + stride;
                V* out = output + (long(o) * b.out_height + y) * b.out_width;
                if (!b.pools) {
                    for (int x = 0; x < b.width; x++) out[x] = activate(upper[x], s.activation);
                } else if (s.pooling == MAX) {
                    I* windows = (I*)extra + (long(o) * b.out_height + y) * window_words(b);
                    pool_max(upper, lower, b.out_width, s.activation, out, windows);
                } else {
                    V* values = extra + (long(o) * b.height + 2 * y) * b.width;
                    for (int x = 0; x < b.width; x++) {
                        values[x] = activate(upper[x], s.activation);
                        values[b.width + x] = activate(lower[x], s.activation);
                    }
                    for (int x = 0; x < b.out_width; x++)
                        out[x] = 0.25f * (values[2 * x] + values[2 * x + 1] + values[b.width + 2 * x] + values[b.width + 2 * x + 1]);
                }
            }
        }
    }
}

static void forward(const Shape& s, const Call& call, int threads) {
    Packed packed[MOST_BLOCKS];
    long rows = 0;
    for (int i = 0; i < s.count; i++) {
        packed[i] = pack(s.blocks[i], call.weights[i], call.biases[i]);
        rows = most(rows, 2L * MOST_CHANNELS * (s.blocks[i].width + MOST_COLUMNS));
    }
    rows = most(rows, s.blocks[0].in_size());  // also where images arrive
    long image_size = s.blocks[0].in_size() + SLACK, kept = tile_size(s), features = s.last().out_size();
    auto run_tile = [&](int tile) {
        V* memory = (V*)scratch<TILE>((image_size + rows + kept) * sizeof(V));
        int images = least(LANES, s.images - long(tile) * LANES);
        V* input = memory;
        V* output = call.saved ? (V*)call.saved + tile * kept : memory + image_size + rows;
        __builtin_memset(output + kept - SLACK, 0, SLACK * sizeof(V));
        load_images(s, call, long(tile) * LANES, images, memory + image_size, input);
        for (int i = 0; i < s.count; i++) {
            const Block& b = s.blocks[i];
            forward_block(s, b, packed[i], input, output, output + b.out_size(), memory + image_size);
            input = output, output += b.out_size() + extra_size(s, b);
        }
        store_tile(input, features, call.features + long(tile) * LANES * features, features, images);
    };
    run_all(threads, tile_count(s), run_tile);
    for (int i = 0; i < s.count; i++) delete[] packed[i].offsets, delete[] packed[i].weights, delete[] packed[i].biases;
}

// ---- backward --------------------------------------------------------------------------------------------------------

// Gradient of the convolution's result from that of the block's output: spread[row][channel][column], rows a multiple
// of SPREAD_COLUMNS wide, zero wherever nothing arrives.
constexpr int SPREAD_COLUMNS = 5, BACK_CHANNELS = MANY_REGISTERS ? 2 : 1;

static void spread_gradient(const Shape& s, const Block& b, const V* gradient, const V* extra, V* spread) {
    const int stride = round_up(b.width, SPREAD_COLUMNS);
    const int used = b.pools ? 2 * b.out_width : b.width, line = b.outputs * stride;
    if (b.pools && b.height % 2) __builtin_memset(spread + long(b.height - 1) * line, 0, sizeof(V) * line);
    for (long row = 0; row < long(b.height) * b.outputs; row++)
        for (int x = used; x < stride; x++) spread[row * stride + x] = V{};
    for (int o = 0; o < b.outputs; o++)
        for (int y = 0; y < b.out_height; y++) {
            const long here = long(o) * b.out_height + y;
            const V* from = gradient + here * b.out_width;
            if (!b.pools) {
                __builtin_memcpy(spread + (long(y) * b.outputs + o) * stride, from, sizeof(V) * b.width);
                continue;
            }
            V *upper = spread + (2L * y * b.outputs + o) * stride, *lower = upper + line;
            if (s.pooling == MAX) {
                const I* windows = (const I*)extra + here * window_words(b);
                for (int x = 0; x < b.out_width; x++) {
                    const I index = windows[x / 16] >> (2 * (x % 16)) & 3;
                    upper[2 * x] = select(index == 0, from[x], V{}), upper[2 * x + 1] = select(index == 1, from[x], V{});
                    lower[2 * x] = select(index == 2, from[x], V{}), lower[2 * x + 1] = select(index == 3, from[x], V{});
                }
            } else {
                const V* values = extra + (long(o) * b.height + 2 * y) * b.width;
                for (int x = 0; x < 2 * b.out_width; x++) {
                    V part = 0.25f * from[x / 2];
                    upper[x] = times_slope(part, values[x], s.activation);
                    lower[x] = times_slope(part, values[b.width + x], s.activation);
                }
            }
        }
}

// Gradient of the weights, T neighbouring taps of a kernel row for O channels at a time: input times gradient, summed
// over the map in registers, over the lanes at the end.
template <int T>
static void weight_gradient(const Block& b, const V* input, const V* spread, V* sums, float* target) {
    constexpr int O = MANY_REGISTERS ? (T > 5 ? 3 : 4) : 2;
    const int stride = round_up(b.width, SPREAD_COLUMNS), taps = b.fan_in(), room = round_up(taps, LANES);
    for (int o0 = 0; o0 < b.outputs; o0 += O) {
        for (int i = 0; i < b.inputs; i++)
            for (int ky = 0; ky < b.kernel; ky++)
                for (int kx = 0; kx < b.kernel; kx += T) {
                    V sum[O][T] = {};
                    for (int y = 0; y < b.height; y++) {
                        const V* in = input + (long(i) * b.in_height + y + ky) * b.in_width + kx;
                        const V* rows[O];
                        UNROLL for (int o = 0; o < O; o++)
                            rows[o] = spread + (long(y) * b.outputs + least(o0 + o, b.outputs - 1)) * stride;
                        for (int x = 0; x < b.width; x++)
                            UNROLL for (int o = 0; o < O; o++) {
                                V g = rows[o][x];
                                UNROLL for (int t = 0; t < T; t++) sum[o][t] += g * in[x + t];
                            }
                    }
                    UNROLL for (int o = 0; o < O; o++) UNROLL for (int t = 0; t < T; t++)
                        if (kx + t < b.kernel) sums[o * room + (i * b.kernel + ky) * b.kernel + kx + t] = sum[o][t];
                }
        for (int o = 0; o < least(O, b.outputs - o0); o++)
            add_lane_sums(sums + o * room, taps, target + long(o0 + o) * taps);
    }
}

// The same where the gradient came through max-pooling: only one pixel of each window has any, so one multiplication
// does for four, once the input pixel that was looked at from there has been picked: left or right, upper or lower.
// (Picking costs as much as multiplying, but processors with 512-bit vectors do it beside the multiplications.)
template <int K, int T>
static void sparse_taps(const Block& b, const V* input, const V* gradient, const I* windows, V* sums) {
    const int row = b.in_width;
    V sum[K][T] = {};
    for (int y = 0; y < b.out_height; y++, input += 2 * row, gradient += b.out_width, windows += window_words(b)) {
        I word = {};
        for (int x = 0; x < b.out_width; x++) {
            word = x % 16 ? word >> 2 : windows[x / 16];
            const I right = (word & 1) != 0, low = (word & 2) != 0;
            const V *in = input + 2 * x, g = gradient[x];
            V above[T];
            UNROLL for (int r = 0; r <= K; r++, in += row) {
                UNROLL for (int t = 0; t < T; t++) {
                    V pixel = select(right, in[t + 1], in[t]);
                    if (r) sum[r - 1][t] += g * select(low, pixel, above[t]);
                    above[t] = pixel;
                }
            }
        }
    }
    UNROLL for (int r = 0; r < K; r++) UNROLL for (int t = 0; t < T; t++) sums[r * K + t] = sum[r][t];
}

template <int K>
static void sparse_weight_gradient(const Block& b, const V* input, const V* gradient, const I* windows, V* sums, float* target) {
    const int taps = b.fan_in();
    for (int o = 0; o < b.outputs; o++, gradient += b.out_height * b.out_width, windows += b.out_height * window_words(b)) {
        for (int i = 0; i < b.inputs; i++) {
            const V* in = input + long(i) * b.in_height * b.in_width;
            V* sum = sums + i * K * K;
            sparse_taps<K, 3>(b, in, gradient, windows, sum);  // three columns of taps, then two, ...: what registers hold
            UNROLL for (int kx = 3; kx < K; kx += 2) sparse_taps<K, 2>(b, in + kx, gradient, windows, sum + kx);
        }
        add_lane_sums(sums, taps, target + long(o) * taps);
    }
}

// Gradient of the input: each gradient is handed to the T columns that a kernel row saw. Weights come packed as
// [input channels / C][kernel row][output][kernel column, filled up with zeros to a multiple of T][C].
template <int T>
static void input_gradient(const Block& b, const V* spread, const float* weights, V* rows, V* gradient) {
    constexpr int C = BACK_CHANNELS, X = SPREAD_COLUMNS;
    const int stride = round_up(b.width, X), kernel = round_up(b.kernel, T), row = stride + kernel;
    for (int i0 = 0; i0 < b.inputs; i0 += C, weights += long(b.kernel) * b.outputs * kernel * C)
        for (int y = 0; y < b.in_height; y++) {
            __builtin_memset(rows, 0, sizeof(V) * C * row);
            for (int kx = 0; kx < b.kernel; kx += T)
                for (int x0 = 0; x0 < b.width; x0 += X) {
                    V sum[C][X + T - 1];
                    UNROLL for (int c = 0; c < C; c++) UNROLL for (int x = 0; x < X + T - 1; x++) sum[c][x] = rows[c * row + x0 + kx + x];
                    int from = y < b.height ? 0 : y - b.height + 1, to = least(b.kernel - 1, y);
                    for (int ky = from; ky <= to; ky++) {
                        const V* g = spread + long(y - ky) * b.outputs * stride + x0;
                        const float* w = weights + (long(ky) * b.outputs * kernel + kx) * C;
                        for (int o = 0; o < b.outputs; o++, g += stride, w += kernel * C)
                            UNROLL for (int t = 0; t < T; t++) UNROLL for (int c = 0; c < C; c++) {
                                V weight = splat(w[t * C + c]);
                                UNROLL for (int x = 0; x < X; x++) sum[c][x + t] += weight * g[x];
                            }
                    }
                    UNROLL for (int c = 0; c < C; c++) UNROLL for (int x = 0; x < X + T - 1; x++) rows[c * row + x0 + kx + x] = sum[c][x];
                }
            for (int c = 0; c < least(C, b.inputs - i0); c++)
                __builtin_memcpy(gradient + (long(i0 + c) * b.in_height + y) * b.in_width, rows + c * row, sizeof(V) * b.in_width);
        }
}

// maps[line][output][run], summed over lines, runs and lanes
static void bias_gradient(int outputs, const V* maps, int run, int lines, V* sums, float* target) {
    for (int o = 0; o < outputs; o++) {
        sums[o] = V{};
        for (int line = 0; line < lines; line++)
            for (int x = 0; x < run; x++) sums[o] += maps[(long(line) * outputs + o) * run + x];
    }
    add_lane_sums(sums, outputs, target);
}

struct BackKernel {
    int taps;  // of a kernel row, taken at once
    decltype(&weight_gradient<1>) weights;
    decltype(&sparse_weight_gradient<3>) sparse_weights;
    decltype(&input_gradient<1>) input;
};
constexpr BackKernel BACK_KERNELS[] = {{7, weight_gradient<7>, sparse_weight_gradient<7>, input_gradient<7>},
                                       {5, weight_gradient<5>, sparse_weight_gradient<5>, input_gradient<5>},
                                       {3, weight_gradient<3>, sparse_weight_gradient<3>, input_gradient<3>},
                                       {1, weight_gradient<1>, nullptr, input_gradient<1>}};

static const BackKernel& choose_back_kernel(const Block& b) {
    const BackKernel* found = BACK_KERNELS;
    for (const BackKernel& k : BACK_KERNELS)
        if (round_up(b.kernel, k.taps) < round_up(b.kernel, found->taps)) found = &k;
    return *found;
}

static float* pack_back(const Block& b, const float* weights) {
    const int C = BACK_CHANNELS, kernel = round_up(b.kernel, choose_back_kernel(b).taps);
    long size = long(round_up(b.inputs, C)) * b.kernel * b.outputs * kernel;
    float* packed = new float[size]();
    for (int o = 0; o < b.outputs; o++)
        for (int i = 0; i < b.inputs; i++)
            for (int y = 0; y < b.kernel; y++)
                for (int x = 0; x < b.kernel; x++)
                    packed[(((long(i / C) * b.kernel + y) * b.outputs + o) * kernel + x) * C + i % C] =
                        weights[((long(o) * b.inputs + i) * b.kernel + y) * b.kernel + x];
    return packed;
}

static void backward(const Shape& s, const Call& call, int threads) {
    float* packed[MOST_BLOCKS];
    long parameters = 0, map = s.blocks[0].in_size(), spread_size = 0, rows = 0;
    for (int i = 0; i < s.count; i++) {
        const Block& b = s.blocks[i];
        packed[i] = i || call.image_gradient ? pack_back(b, call.weights[i]) : nullptr;
        parameters += b.outputs * (b.fan_in() + 1);
        map = most(map, b.out_size());
        spread_size = most(spread_size, long(b.height) * b.outputs * (b.width + SPREAD_COLUMNS) + SLACK);
        rows = most(rows, b.outputs + LANES);
        rows = most(rows, most(4 * (b.fan_in() + LANES), BACK_CHANNELS * (b.width + b.kernel + 16)));
    }
    // Each group of tiles sums up its own gradients; they are added in order when all are there.
    const long tiles = tile_count(s), kept = tile_size(s), features = s.last().out_size();
    const int groups = least(tiles, MOST_GROUPS);
    float* gradients = (float*)scratch<TOTALS>(groups * parameters * sizeof(float));
    __builtin_memset(gradients, 0, groups * parameters * sizeof(float));
    auto run_group = [&](int group) {
        V* memory = (V*)scratch<TILE>((s.blocks[0].in_size() + 2 * map + spread_size + rows + 2 * SLACK) * sizeof(V));
        V *pixels = memory, *gradient = pixels + s.blocks[0].in_size() + SLACK, *next = gradient + map;
        V *spread = next + map + SLACK, *sums = spread + spread_size;
        for (long tile = tiles * group / groups; tile < tiles * (group + 1) / groups; tile++) {
            const int images = least(LANES, s.images - tile * LANES);
            load_images(s, call, tile * LANES, images, next, pixels);
            load_tile(call.gradient + tile * LANES * features, features, images, features, gradient);
            const V* kept_end = (V*)call.saved + (tile + 1) * kept - SLACK;
            float* target = gradients + (group + 1) * parameters;
            for (int i = s.count - 1; i >= 0; i--) {
                const Block& b = s.blocks[i];
                const V *extra = kept_end - extra_size(s, b), *output = extra - b.out_size();
                const V* input = i ? output - extra_size(s, s.blocks[i - 1]) - s.blocks[i - 1].out_size() : pixels;
                kept_end = output;
                const BackKernel& kernel = choose_back_kernel(b);
                target -= b.outputs * (b.fan_in() + 1);
                const bool sparse = b.pools && s.pooling == MAX && MANY_REGISTERS && b.kernel > 1 && b.kernel == kernel.taps;
                if (!b.pools || s.pooling == MAX)
                    for (long n = 0; n < b.out_size(); n++) gradient[n] = times_slope(gradient[n], output[n], s.activation);
                const int stride = round_up(b.width, SPREAD_COLUMNS);
                if (!sparse || packed[i]) spread_gradient(s, b, gradient, extra, spread);
                float* bias = target + b.outputs * b.fan_in();
                const bool averages = b.pools && s.pooling == AVG;  // then the slopes are in `spread` only
                if (averages)
                    bias_gradient(b.outputs, spread, stride, b.height, sums, bias);
                else
                    bias_gradient(b.outputs, gradient, b.out_height * b.out_width, 1, sums, bias);
                if (sparse)
                    kernel.sparse_weights(b, input, gradient, (const I*)extra, sums, target);
                else
                    kernel.weights(b, input, spread, sums, target);
                if (packed[i]) {
                    kernel.input(b, spread, packed[i], sums, next);
                    V* swap = gradient;
                    gradient = next, next = swap;
                }
            }
            if (call.image_gradient)  // the padding has a gradient too, which nobody wants
                for (int row = 0; row < s.channels * s.height; row++) {
                    const Block& b = s.blocks[0];
                    int channel = row / s.height, y = row % s.height + s.padding;
                    store_tile(gradient + (long(channel) * b.in_height + y) * b.in_width + s.padding, s.width,
                               call.image_gradient + (tile * LANES * s.channels * s.height + row) * s.width,
                               long(s.channels) * s.height * s.width, images);
                }
        }
    };
    run_all(threads, groups, run_group);
    const float* source = gradients;
    for (int i = 0; i < s.count; i++) {
        const Block& b = s.blocks[i];
        const long weights = b.outputs * b.fan_in();
        for (long n = 0; n < weights + b.outputs; n++) {
            float total = 0;
            for (int group = 0; group < groups; group++) total += source[group * parameters + n];
            (n < weights ? call.weight_gradients[i][n] : call.bias_gradients[i][n - weights]) = total;
        }
        source += weights + b.outputs;
        delete[] packed[i];
    }
}

// ---- dense layers -----------------------------------------------------------------------------------------------------

struct Matrix {  // element (i, j) is data[i * row + j * column]; one of the steps is 1
    const float* data;
    long row, column;
};

// target (rows x columns, dense) = activation(a (rows x depth) * b (depth x columns) + bias). b is first laid out in panels
// a vector wide, so that the inner loop reads both forwards; a block of accumulators stays in registers over the depth.
static void multiply(int rows, int columns, int depth, Matrix a, Matrix b, const float* bias, int activation, float* target,
                     int threads) {
    constexpr int R = MANY_REGISTERS ? 12 : 6;
    const int panels = round_up(columns, 2 * LANES) / LANES;
    V* packed = (V*)scratch<PANELS>(long(panels) * depth * sizeof(V));
    for (int p = 0; p < panels; p++) {
        const int here = most(0, least(LANES, columns - p * LANES));
        const float* source = b.data + p * LANES * b.column;
        V* panel = packed + long(p) * depth;
        if (b.column == 1 && here == LANES)
            for (int k = 0; k < depth; k++) panel[k] = *(const Loose*)(source + k * b.row);
        else if (b.row == 1)
            load_tile(source, b.column, here, depth, panel);
        else
            for (int k = 0; k < depth; k++)
                for (int i = 0; i < LANES; i++) panel[k][i] = i < here ? source[k * b.row + i * b.column] : 0;
    }
    auto run_rows = [&](int block) {
        const float* from[R];
        for (int r = 0; r < R; r++) from[r] = a.data + least(block * R + r, rows - 1) * a.row;
        for (int p = 0; p < panels; p += 2) {
            const V *left = packed + long(p) * depth, *right = left + depth;
            V sum[R][2] = {};
            for (long k = 0, at = 0; k < depth; k++, at += a.column) {
                const V l = left[k], r = right[k];
                UNROLL for (int i = 0; i < R; i++) {
                    V factor = splat(from[i][at]);
                    sum[i][0] += factor * l, sum[i][1] += factor * r;
                }
            }
            for (int i = 0; i < least(R, rows - block * R); i++)
                for (int side = 0; side < 2; side++) {
                    const int start = (p + side) * LANES, here = least(LANES, columns - start);
                    float* to = target + long(block * R + i) * columns + start;
                    V shift = {};
                    for (int n = 0; bias && n < here; n++) shift[n] = bias[start + n];
                    const V value = activate(sum[i][side] + shift, activation);
                    if (here == LANES)
                        *(Loose*)to = value;
                    else
                        for (int n = 0; n < here; n++) to[n] = value[n];
                }
        }
    };
    run_all(threads, (rows + R - 1) / R, run_rows);
}

// outputs[i]: (images, widths[i + 1]); the activation follows every layer but the last.
static void dense_forward(const Dense& d, const float* input, const float* const* weights, const float* const* biases,
                          float* const* outputs, int threads) {
    for (int i = 0; i < d.count; i++) {
        const int from = d.widths[i], to = d.widths[i + 1];
        multiply(d.images, to, from, {input, from, 1}, {weights[i], 1, from}, biases[i], i + 1 < d.count ? d.activation : 0,
                 outputs[i], threads);
        input = outputs[i];
    }
}

static void dense_backward(const Dense& d, const float* gradient, const float* input, const float* const* outputs,
                           const float* const* weights, float* input_gradient, float* const* weight_gradients,
                           float* const* bias_gradients, int threads) {
    const long room = d.images * d.largest() + LANES;
    float *sloped = (float*)scratch<SLOPES>(2 * room * sizeof(float)), *next = sloped + room;
    for (int i = d.count - 1; i >= 0; i--) {
        const int from = d.widths[i], to = d.widths[i + 1];
        if (i + 1 < d.count) {  // through the activation: `gradient` is `next` here
            for (long n = 0; n < d.images * to; n += LANES) {
                V value = {}, g = {};
                if (n + LANES <= d.images * to)
                    value = *(const Loose*)(outputs[i] + n), g = *(const Loose*)(gradient + n);
                else
                    for (int k = 0; n + k < d.images * to; k++) value[k] = outputs[i][n + k], g[k] = gradient[n + k];
                *(Loose*)(sloped + n) = times_slope(g, value, d.activation);
            }
            gradient = sloped;
        }
        for (int o = 0; o < to; o++) bias_gradients[i][o] = 0;
        for (long n = 0; n < d.images; n++)
            for (int o = 0; o < to; o++) bias_gradients[i][o] += gradient[n * to + o];
        multiply(to, from, d.images, {gradient, 1, to}, {i ? outputs[i - 1] : input, from, 1}, nullptr, 0, weight_gradients[i],
                 threads);
        float* target = i ? next : input_gradient;
        if (target) multiply(d.images, from, to, {gradient, to, 1}, {weights[i], from, 1}, nullptr, 0, target, threads);
        gradient = target;
    }
}

#undef INLINE
#undef UNROLL
#endif
