// What Adam's inner loops need. See ops/adam.h. No torch here: the vectorised kernels include it too.
#pragma once

namespace gtalk {

struct AdamNumbers {
  float beta1, beta2, eps;
  float root_scale;  // 1 / sqrt(1 - beta2^step)
};

}  // namespace gtalk
