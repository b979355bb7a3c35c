// Where finished blocks of a convolution's result go: straight into the out view, or through the fused program.
#pragma once
#include "conv_shape.h"
#include "program.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace conv {

// The result [N, channels, H, W] as the tile interpreter sees it: an image's pixels are one dimension where every view allows that.
class Target {
 public:
  // Views behind the first two inputs belong to the program. False (with a message) when they do not fit.
  bool bind(const Step& step, const Context& context) {
    const View& out = step.out[0];
    const int inputs = step.inCount - 2, views = inputs + step.outCount;
    if (inputs < 0 || step.outCount < 1 || views >= kMaxProgramViews) return bind::say(context, "conv: too many or too few views");
    channels_ = out.shape[1], height_ = out.shape[2], width_ = out.shape[3];
    if (!step.program && out.dtype == step.in[0].dtype && rows::packed(out) && views == 1) {
      direct_ = out.data;
      return true;
    }
    View flat[kMaxProgramViews];
    collapsed_ = true;
    for (int i = 0; i < views; i++) {
      flat[i] = i < inputs ? step.in[2 + i] : step.out[i - inputs];
      if (flat[i].rank != 4) return bind::say(context, "conv: the views of its program do not have the result's shape");
      collapsed_ &= height_ == 1 || width_ == 1 || flat[i].stride[2] == flat[i].stride[3] * width_;
    }
    for (int i = 0; i < views && collapsed_; i++) {
      View& v = flat[i];
      if (v.shape[2] != height_ || v.shape[3] != width_) return bind::say(context, "conv: the views of its program do not have the result's shape");
      v.rank = 3;
      v.shape[2] = height_ * width_;
      if (width_ != 1) v.stride[2] = v.stride[3];
    }
    const RegisterClass own = step.in[0].dtype == DType::F64 ? RegisterClass::F64 : RegisterClass::F32;
    return bindEpilogue(binding_, step.program, own, flat, inputs, flat + inputs, step.outCount, context);
  }

  void* direct() const { return direct_; }
  int64_t memoryBytes() const { return direct_ ? 0 : binding_.memoryBytes; }
  int64_t height() const { return height_; }
  int64_t width() const { return width_; }
  int64_t pixel(int64_t image, int64_t channel, int64_t row, int64_t col) const { return ((image * channels_ + channel) * height_ + row) * width_ + col; }

  // f(runner), runner being NULL where the result is stored directly.
  template <class F> void withRunner(void* memory, const F& f) const {
    if (direct_) return f(static_cast<ProgramRunner*>(nullptr));
    ProgramRunner runner(binding_, memory);
    f(&runner);
  }

  // Stores a block of an image: pixel (row, col) of its channel c is tile[c * channelStride + row * rowStride + col].
  template <class T>
  void write(ProgramRunner* runner, int64_t image, int64_t channel, int64_t channels, int64_t row, int64_t rows, int64_t col, int64_t cols,
             const T* tile, int64_t channelStride, int64_t rowStride) const {
    if (!runner) {
      for (int64_t c = 0; c < channels; c++)
        for (int64_t r = 0; r < rows; r++)
          memcpy(static_cast<T*>(direct_) + pixel(image, channel + c, row + r, col), tile + c * channelStride + r * rowStride, size_t(cols) * sizeof(T));
    } else if (!collapsed_) {
      for (int64_t c = 0; c < channels; c++)
        for (int64_t r = 0; r < rows; r++)
          runner->run((image * channels_ + channel + c) * height_ + row + r, 1, col, cols, tile + c * channelStride + r * rowStride, cols);
    } else if (rowStride == cols && (cols == width_ || rows == 1)) {
      runner->run(image * channels_ + channel, channels, row * width_ + col, rows * cols, tile, channelStride);
    } else {
      for (int64_t r = 0; r < rows; r++) runner->run(image * channels_ + channel, channels, (row + r) * width_ + col, cols, tile + r * rowStride, channelStride);
    }
  }

 private:
  Binding binding_;
  void* direct_ = nullptr;
  bool collapsed_ = false;
  int64_t channels_ = 0, height_ = 0, width_ = 0;
};

}  // namespace conv
}  // namespace GRAFT_ISA_NS
}  // namespace graft
