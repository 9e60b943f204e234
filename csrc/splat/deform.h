// Gaussians moved by codes, and by an expression on top: tensors in, tensors out. Part of ops.cpp.
#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <optional>

#include "../common/check.h"
#include "../common/crew.h"
#include "../simd/kernels.h"

namespace gtalk::splat {
namespace {

using at::Tensor;

constexpr long CHUNK = 1024;  // Gaussians of a chunk of work
constexpr long BLOCK = 256;   // Gaussians whose sparse columns lie together; a chunk is whole blocks
constexpr int MOST = 8;       // workers that sum gradients: each has its own copy of them

const Kernels& kernels() { return simd::splat_kernels(); }

const float* floats(const char* name, const Tensor& t) {
  check_dtype(name, t, at::kFloat);
  check_in_place(name, t);
  return t.const_data_ptr<float>();
}

const unsigned char* bytes(const char* name, const Tensor& t) {
  check_dtype(name, t, at::kByte);
  check_in_place(name, t);
  return t.const_data_ptr<unsigned char>();
}

template <class F>
void for_chunks(long n, const F& f) {
  const auto work = [&](long chunk, int worker) { f(chunk * CHUNK, std::min(n, (chunk + 1) * CHUNK), worker); };
  Crew::get().run((n + CHUNK - 1) / CHUNK, work, MOST);
}

// Some Gaussians and what moves them; rows [begin, end) at a time.
struct Moved {
  const float *base, *code, *limit;
  const void* basis;
  bool half;
  int K;

  Moved(const float* base, const Tensor& table, const float* code, const float* limit)
      : base(base), code(code), limit(limit), half(table.scalar_type() == at::kHalf), K(int(table.size(1))) {
    basis = half ? static_cast<const void*>(table.const_data_ptr<at::Half>()) : floats("basis", table);
  }
  void rows(const Kernels& k, float* out, long begin, long end) const {
    if (half)
      k.deform_half(base, static_cast<const uint16_t*>(basis), code, limit, out, begin, end, K);
    else
      k.deform(base, static_cast<const float*>(basis), code, limit, out, begin, end, K);
  }
};

void check_basis(const Tensor& basis, int64_t n, const Tensor& code) {
  check_shape("basis", basis, {n, code.size(0), 16});
  check_in_place("basis", basis);
}

Tensor splat_deform(const Tensor& base, const Tensor& basis, const Tensor& code, const Tensor& limit) {
  check_shape("base", base, {-1, 16});
  check_shape("code", code, {-1});
  check_shape("limit", limit, {16});
  check_basis(basis, base.size(0), code);
  check_same_device({{"base", base}, {"basis", basis}, {"code", code}, {"limit", limit}});
  Tensor out = at::empty_like(base);
  const Moved moved(floats("base", base), basis, floats("code", code), floats("limit", limit));
  float* to = out.mutable_data_ptr<float>();
  const Kernels& k = kernels();
  for_chunks(base.size(0), [&](long a, long b, int) { moved.rows(k, to, a, b); });
  return out;
}

const int* ints(const char* name, const Tensor& t) {
  check_dtype(name, t, at::kInt);
  check_in_place(name, t);
  return t.const_data_ptr<int>();
}

// A face with an expression: groups of rows, ending at `ends`, moved by a code each; their looks kept within `ranges`;
// `held` and sparse columns on top. Columns lie by blocks of BLOCK Gaussians, so that a block stays in the cache.
// `spare` rows behind them are left for the caller to fill.
Tensor splat_express(const Tensor& base, const Tensor& basis, const Tensor& codes, at::IntArrayRef ends, const Tensor& limit,
                     const std::optional<Tensor>& ranges, double share, const std::optional<Tensor>& held,
                     const Tensor& starts, const Tensor& rows, const Tensor& values, const Tensor& coefs, int64_t spare) {
  const int64_t n = base.size(0), groups = codes.size(0), columns = coefs.size(0), entries = rows.size(0);
  const int64_t blocks = (n + BLOCK - 1) / BLOCK;
  check_shape("base", base, {-1, 16});
  check_shape("codes", codes, {-1, -1});
  check_shape("limit", limit, {16});
  check_shape("basis", basis, {n, codes.size(1), 16});
  check_in_place("basis", basis);
  check_shape("starts", starts, {blocks * columns + 1});
  check_shape("values", values, {entries, 16});
  check_dtype("values", values, at::kHalf);
  check_in_place("values", values);
  if (ranges) check_shape("ranges", *ranges, {2, n, 16});
  if (held) check_shape("held", *held, {n, 16});
  check_same_device({{"base", base}, {"basis", basis}, {"codes", codes}, {"limit", limit}, {"ranges", ranges}, {"held", held},
                     {"starts", starts}, {"rows", rows}, {"values", values}, {"coefs", coefs}});
  TORCH_CHECK_VALUE(int64_t(ends.size()) == groups && groups > 0 && ends.back() == n && std::is_sorted(ends.begin(), ends.end()),
                    "ends: expected ", groups, " rising numbers up to ", n, "; got ", ends, ".");
  const int *from = ints("starts", starts), *which = ints("rows", rows);
  TORCH_CHECK_VALUE(from[0] == 0 && from[blocks * columns] == entries, "starts: expected 0 ... ", entries, "; got ", from[0], " ... ", from[blocks * columns], ".");
  TORCH_CHECK_VALUE(spare >= 0, "spare: expected 0 or more; got ", spare, ".");
  Tensor out = at::empty({n + spare, 16}, base.options());
  const float *c = floats("coefs", coefs), *code = floats("codes", codes);
  const float *within = ranges ? floats("ranges", *ranges) : nullptr, *sum = held ? floats("held", *held) : nullptr;
  const auto* v = reinterpret_cast<const uint16_t*>(values.const_data_ptr<at::Half>());
  const Moved moved(floats("base", base), basis, code, floats("limit", limit));
  float* to = out.mutable_data_ptr<float>();
  const Kernels& k = kernels();
  const auto block_rows = [&](long block) {
    const long a = block * BLOCK, b = std::min(n, a + BLOCK);
    for (long g = 0, first = 0; g < groups; first = ends[g++]) {
      Moved group = moved;
      group.code = code + g * moved.K;
      if (std::max(a, first) < std::min(b, long(ends[g]))) group.rows(k, to, std::max(a, first), std::min(b, long(ends[g])));
    }
    k.keep_within(to, within, n * 16, float(share), sum, a, b);
    k.add_columns(to, from + block * columns, which, v, c, int(columns));
  };
  for_chunks(n, [&](long a, long b, int) {
    for (long block = a / BLOCK; block * BLOCK < b; block++) block_rows(block);
  });
  return out;
}

std::tuple<Tensor, Tensor> splat_deform_backward(const Tensor& base, const Tensor& basis, const Tensor& limit,
                                                 const Tensor& out, const Tensor& d_out) {
  const int64_t n = base.size(0), K = basis.size(1);
  check_shape("base", base, {-1, 16});
  check_shape("basis", basis, {n, K, 16});
  check_shape("out", out, {n, 16});
  check_shape("d_out", d_out, {n, 16});
  check_same_device({{"base", base}, {"basis", basis}, {"limit", limit}, {"out", out}, {"d_out", d_out}});
  check_shape("limit", limit, {16});
  Tensor inner = at::empty_like(base), d_code = at::zeros({MOST, K}, base.options());
  const float *b = floats("base", base), *B = floats("basis", basis), *l = floats("limit", limit);
  const float *o = floats("out", out), *d = floats("d_out", d_out);
  float *to = inner.mutable_data_ptr<float>(), *codes = d_code.mutable_data_ptr<float>();
  const Kernels& k = kernels();
  for_chunks(n, [&](long from, long until, int worker) {
    k.deform_backward(b, B, l, o, d, to, codes + worker * K, from, until, int(K));
  });
  return {inner, d_code.sum(0)};
}

}  // namespace
}  // namespace gtalk::splat
