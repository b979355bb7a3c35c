#pragma once
#include "kernel.h"

namespace graft {

// Whether a view of floating point numbers holds neither NaN nor infinity; true for integers.
bool isFinite(const View& view);

}  // namespace graft
