// Work shared out in chunks among the calling thread and helpers that may or may not come.
//
// A frame takes a few milliseconds; a thread that has to wait for its turn on a busy machine comes as late as that.
// So nobody waits for helpers to arrive: the caller takes chunks like everyone else and goes on as soon as every
// chunk is done, and waits only for chunks that somebody has begun. Where a helper was put to sleep in the middle of
// one, that wait is a scheduler's turn, and alone would have been faster: then nobody is asked for a while.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace gtalk::splat {

class Crew {
 public:
  static constexpr int MOST = 8;  // workers, the caller included

  static Crew& get() {
    static Crew* crew = new Crew;  // never destroyed: helpers may outlive static objects
    return *crew;
  }

  // How many workers `run` may use now: at::get_num_threads, at most MOST.
  static int workers() {
    const int wanted = at::in_parallel_region() ? 1 : at::get_num_threads();
    return wanted < 1 ? 1 : (wanted > MOST ? MOST : wanted);
  }

  // f(chunk, worker) for chunk in [0, count), worker in [0, workers()); the caller is worker 0.
  template <class F>
  void run(long count, const F& f) {
    const int wanted = count > 1 ? workers() : 1;
    std::unique_lock<std::mutex> busy(busy_, std::try_to_lock);
    const auto begun = Clock::now();
    if (wanted == 1 || !busy.owns_lock() || begun < alone_until_) {
      for (long i = 0; i < count; i++) f(i, 0);
      return;
    }
    auto job = std::make_shared<Job>();
    job->count = count, job->call = [](const void* self, long i, int worker) { (*static_cast<const F*>(self))(i, worker); };
    job->self = &f, job->workers = wanted;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (int(helpers_.size()) < wanted - 1) {
        const int worker = int(helpers_.size()) + 1;
        helpers_.emplace_back([this, worker] { help(worker); });
        helpers_.back().detach();
      }
      job_ = job, generation_++;
    }
    wake_.notify_all();
    const long own = job->work(0);
    const auto idle = Clock::now();
    for (int spins = 0; job->done.load(std::memory_order_acquire) < count; spins++)
      if (spins > 2000) std::this_thread::yield();
    const auto end = Clock::now();
    if (own && end - idle > SHORT && end - begun > (idle - begun) * count / own) {  // slower than alone
      alone_until_ = end + alone_;
      alone_ = std::min<Clock::duration>(2 * alone_, MOST_ALONE);
    } else if (own < count) {  // a wait costs ten times what help gains, so trust comes back slowly
      alone_ = std::max<Clock::duration>(alone_ * 15 / 16, LEAST_ALONE);
    }
    std::lock_guard<std::mutex> lock(mutex_);
    job_.reset();
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr Clock::duration LEAST_ALONE = std::chrono::milliseconds(20), MOST_ALONE = std::chrono::seconds(2);
  static constexpr Clock::duration SHORT = std::chrono::microseconds(200);  // a wait that tells nothing

  struct Job {
    std::atomic<long> next{0}, done{0};
    long count = 0;
    int workers = 1;
    const void* self = nullptr;
    void (*call)(const void*, long, int) = nullptr;

    long work(int worker) {  // how many chunks it did
      long own = 0;
      for (long i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count; own++) {
        call(self, i, worker);
        done.fetch_add(1, std::memory_order_release);
      }
      return own;
    }
  };

  void help(int worker) {
    long seen = 0;
    for (;;) {
      std::shared_ptr<Job> job;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return generation_ != seen; });
        seen = generation_, job = job_;
      }
      if (job && worker < job->workers) job->work(worker);
    }
  }

  std::mutex busy_, mutex_;
  std::condition_variable wake_;
  std::shared_ptr<Job> job_;
  long generation_ = 0;
  Clock::time_point alone_until_{};      // guarded by busy_, as is the next
  Clock::duration alone_ = LEAST_ALONE;  // the next pause
  std::vector<std::thread> helpers_;
};

}  // namespace gtalk::splat
