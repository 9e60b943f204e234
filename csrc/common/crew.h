// Work shared out in chunks among the calling thread and helpers that may or may not come. All our CPU kernels run on it.
//
// Many kernels take well under a millisecond; a thread that has to wait for its turn on a busy machine comes as late as
// that. So nobody waits for helpers to arrive: the caller takes chunks like everyone else and goes on as soon as every
// chunk is done, and waits only for chunks that somebody has begun. Where a helper was put to sleep in the middle of
// one, that wait is a scheduler's turn, and alone would have been faster: then nobody is asked for a while. Whoever
// has nothing to do sleeps, but for the few microseconds after which the next kernel usually comes.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace gtalk {

class Crew {
 public:
  static constexpr int MOST = 64;  // workers, the caller included

  static Crew& get() {
    static Crew* crew = new Crew;  // never destroyed: helpers may outlive static objects
    return *crew;
  }

  // How many workers `run` may use now: at::get_num_threads, at most MOST; one inside another parallel region.
  static int workers() {
    const int wanted = at::in_parallel_region() ? 1 : at::get_num_threads();
    return wanted < 1 ? 1 : (wanted > MOST ? MOST : wanted);
  }

  // f(chunk, worker) for chunk in [0, count), worker in [0, min(workers(), most)); the caller is worker 0. Chunks are
  // taken in order, by whoever is free: what is summed over chunks must be summed by chunk, not by worker, to come out
  // the same every time.
  template <class F>
  void run(int64_t count, const F& f, int most = MOST) {
    const int wanted = count > 1 ? std::min(workers(), most) : 1;
    std::unique_lock<std::mutex> busy(busy_, std::defer_lock);
    if (wanted == 1 || !busy.try_lock() || Clock::now() < alone_until_) {
      for (int64_t i = 0; i < count; ++i) f(i, 0);
      return;
    }
    const auto begun = Clock::now();
    auto job = std::make_shared<Job>();
    job->count = count;
    job->call = [](const void* self, int64_t i, int worker) { (*static_cast<const F*>(self))(i, worker); };
    job->self = &f;
    job->workers = wanted;
    publish(job);
    const int64_t own = job->work(0);
    const auto idle = Clock::now();
    job->wait();
    learn(count, own, begun, idle, Clock::now());
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr Clock::duration LEAST_ALONE = std::chrono::milliseconds(20), MOST_ALONE = std::chrono::seconds(2);
  static constexpr Clock::duration SHORT = std::chrono::microseconds(200);  // a wait that tells nothing
  static constexpr int SPINS = 2000;  // looks before a thread goes to sleep: tens of microseconds

  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  struct Job {
    std::atomic<int64_t> next{0};
    std::atomic<int64_t> done{0};
    int64_t count = 0;
    int workers = 1;
    const void* self = nullptr;
    void (*call)(const void*, int64_t, int) = nullptr;

    int64_t work(int worker) {  // how many chunks it did
      int64_t own = 0;
      for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count; ++own) {
        call(self, i, worker);
        if (done.fetch_add(1, std::memory_order_release) + 1 == count) done.notify_all();
      }
      return own;
    }

    void wait() {  // until every chunk is done
      for (int spins = 0; spins < SPINS; ++spins) {
        if (done.load(std::memory_order_acquire) == count) return;
        pause();
      }
      for (int64_t now; (now = done.load(std::memory_order_acquire)) < count;) done.wait(now, std::memory_order_acquire);
    }
  };

  void publish(const std::shared_ptr<Job>& job) {
    std::lock_guard<std::mutex> lock(mutex_);
    while (static_cast<int>(helpers_.size()) < job->workers - 1) {
      const int worker = static_cast<int>(helpers_.size()) + 1;
      helpers_.emplace_back([this, worker] { help(worker); });
      helpers_.back().detach();
    }
    job_ = job;
    generation_.fetch_add(1, std::memory_order_release);
    if (sleepers_ > 0) wake_.notify_all();
  }

  void learn(int64_t count, int64_t own, Clock::time_point begun, Clock::time_point idle, Clock::time_point end) {
    if (own && end - idle > SHORT && end - begun > (idle - begun) * count / own) {  // slower than alone
      alone_until_ = end + alone_;
      alone_ = std::min<Clock::duration>(2 * alone_, MOST_ALONE);
    } else if (own < count) {  // a wait costs ten times what help gains, so trust comes back slowly
      alone_ = std::max<Clock::duration>(alone_ * 15 / 16, LEAST_ALONE);
    }
  }

  void help(int worker) {
    int64_t seen = 0;
    for (;;) {
      for (int spins = 0; spins < SPINS && generation_.load(std::memory_order_acquire) == seen; ++spins) pause();
      std::shared_ptr<Job> job;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        ++sleepers_;
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_relaxed) != seen; });
        --sleepers_;
        seen = generation_.load(std::memory_order_relaxed);
        job = job_.lock();
      }
      if (job && worker < job->workers) job->work(worker);
    }
  }

  std::mutex busy_, mutex_;
  std::condition_variable wake_;
  std::weak_ptr<Job> job_;               // gone when its caller has gone on
  std::atomic<int64_t> generation_{0};   // written under mutex_
  int sleepers_ = 0;                     // guarded by mutex_
  Clock::time_point alone_until_{};      // guarded by busy_, as is the next
  Clock::duration alone_ = LEAST_ALONE;  // the next pause
  std::vector<std::thread> helpers_;
};

}  // namespace gtalk
