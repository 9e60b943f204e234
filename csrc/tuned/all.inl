// Everything that is compiled once per instruction set. No include guards, and no headers: those stand before
// the pragma in tuned/<isa>.cpp.
#include "vec.inl"
#include "hash_encode.inl"
