// Which instruction set is used: the best that the machine has, unless told otherwise.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "kernels.h"

namespace gtalk::simd {
namespace {

struct Choice {
  const char* name;
  const Kernels* kernels;
  bool (*runs)();
};

bool always() { return true; }
#if defined(__x86_64__)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("f16c");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
#endif

const Choice kChoices[] = {  // best first
#if defined(__x86_64__)
    {"avx512", &kernels_avx512, has_avx512},
    {"avx2", &kernels_avx2, has_avx2},
#endif
    {"portable", &kernels_portable, always},
    {"plain", nullptr, always},
};

const Choice& find(const std::string& name, const char* asked_by) {
  std::string known;
  for (const Choice& choice : kChoices) {
    if (!choice.runs()) continue;
    if (name == "best" || name == choice.name) return choice;
    known += std::string(known.empty() ? "" : ", ") + choice.name;
  }
  throw std::invalid_argument(asked_by + std::string(": expected best or one of ") + known + "; got " + name + ".");
}

std::atomic<const Choice*>& current() {
  static std::atomic<const Choice*> choice{[] {
    const char* wanted = std::getenv("GTALK_ISA");
    return &find(wanted && *wanted ? wanted : "best", "GTALK_ISA");
  }()};
  return choice;
}

}  // namespace

const Kernels* kernels() { return current().load()->kernels; }

const splat::Kernels& splat_kernels() {
  const Kernels* chosen = kernels();
  return (chosen ? *chosen : kernels_portable).splats;
}

std::string isa() { return current().load()->name; }

std::string use_isa(const std::string& name) {
  const Choice& found = find(name, "isa");
  current().store(&found);
  return found.name;
}

}  // namespace gtalk::simd
