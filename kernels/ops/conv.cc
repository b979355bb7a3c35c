// conv: y from x [N, C, H, W] and w [O, C/groups, kH, kW]; convData: dx from dy [N, O, H', W'] and w (also the transposed convolution).
// attrs: stride, padding before the image, dilation (height and width each), groups; then an optional program over the result.
#include "conv_correlate.h"
#include "conv_winograd.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace conv {

template <class T> static int correlate(const Problem& p, bool isData, const Step& step, const Target& target, const Context& context) {
  const T *const image = static_cast<const T*>(step.in[0].data), *const w = static_cast<const T*>(step.in[1].data);
  if (TileProduct<T>::applies(p)) return TileProduct<T>(p, isData, image, w, target, context).run();
  return Correlation<T>(p, isData, image, w, target, context).run();
}

static int run(const Step& step, const Context& context, bool isData) {
  const char* const name = isData ? "convData" : "conv";
  Problem p;
  if (step.inCount < 2 || step.outCount < 1) return rows::fail(context, name, "needs two inputs and an output");
  const View &image = step.in[0], &w = step.in[1], &out = step.out[0];
  if (!describe(p, step, isData ? out : image, w, isData ? image : out, out)) return rows::fail(context, name, "the shapes, dtypes and attributes do not fit");
  Target target;
  if (!target.bind(step, context)) return 1;
  if (rows::sizeOf(out) == 0) return 0;
  return image.dtype == DType::F32 ? correlate<float>(p, isData, step, target, context) : correlate<double>(p, isData, step, target, context);
}

}  // namespace conv

static int runConv(const Step& step, const Context& context) { return conv::run(step, context, false); }
static int runConvData(const Step& step, const Context& context) { return conv::run(step, context, true); }

}  // namespace GRAFT_ISA_NS
}  // namespace graft
