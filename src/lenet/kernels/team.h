// Threads, and memory that they keep. Included once.

#pragma once

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>

namespace {

constexpr int SPIN = 20;  // microseconds

struct Task {
    void (*run)(const void* self, int number);
    const void* self;
};

// Threads that take tasks from a counter.
//
// What a task computes never depends on the thread that took it, so results are the same bits for every number of
// threads. A worker that wakes too late finds no seat left in the job; nobody waits for it. Waking a sleeping thread
// takes as long as a small job, and the next job mostly follows at once: a thread that waits spins for a moment before
// it sleeps.
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
            } catch (const std::exception&) {  // the system gives no more threads: go on with those there are
            }
            task_ = task, tasks_ = tasks, next_ = 0, seats_ = helpers, failed_ = false, job_++;
        }
        wake_.notify_all();
        take_tasks();
        {
            std::lock_guard<std::mutex> guard(mutex_);
            seats_ = 0;
        }
        spin([this] { return working_ == 0; });
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
            spin([&] { return job_ != seen; });
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
    static void spin(const Condition& happened) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(SPIN);
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

// A forked child has none of its parent's threads, and perhaps a locked mutex that nobody will unlock: it gets a team of
// its own. Teams are never destroyed, for their threads may still sleep in them when the process ends.
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

// TILE: the maps of the tile that a thread computes. TOTALS: gradients of each group of tiles. PANELS: a packed matrix.
// SLOPES: gradients between dense layers. A thread may use all of them at once.
enum Use { TILE, TOTALS, PANELS, SLOPES };
template <Use use>
void* scratch(size_t bytes) {
    static thread_local Scratch own;
    return own.get(bytes);
}

}  // namespace
