// gelu and its derivative on vectors of float, in both forms: x times a step that rises from 0 to 1, P(x) or (1 + tanh u) / 2. What the step lacks above 0 is what
// it has below, so one side is enough: with a = |x| and T(a) = step(-a),
//   x step(x) = max(x, 0) - a T(a)      (x step(x))' = 1 - D(a) above 0 and D(a) below, D(a) = (a T(a))'
// T and D are interpolated in Chebyshev's points of pieces 8/9 wide, in f64, with coefficients rounded to f32; beyond 56/9 = 6.2 they are 0. Errors, absolute:
// of T 4e-8, of D 9e-8, or 1.2e-7 where multiply-adds round twice (half a unit in the last place of 1 is 6e-8). test/native/math.test.ts checks them.
#pragma once
#include "pieces.h"

namespace graft {
namespace GRAFT_ISA_NS {

// 1 - P(a), P being the normal distribution
static constexpr float kTail[8][8] = {
  {0.32836065f, 0.09121122f, 0.013134145f, 9.319244e-4f, 3.16712e-5f, 5.070181e-7f, 3.7839767e-9f, 0},
  {-0.32126564f, -0.14578673f, -0.030021023f, -0.002805348f, -1.1896021e-4f, -2.2891256e-6f, -1.9988793e-8f, 0},
  {0.06345938f, 0.0863923f, 0.029650457f, 0.0038789446f, 2.1149038e-4f, 4.975886e-6f, 5.1420486e-8f, 0},
  {0.033949688f, -0.0149318995f, -0.015569553f, -0.0032062645f, -2.3498203e-4f, -6.9040784e-6f, -8.52782e-8f, 0},
  {-0.01169993f, -0.0069557214f, 0.0037827867f, 0.0017069669f, 1.8091177e-4f, 6.8057443e-6f, 1.00886695e-7f, 0},
  {-0.0030976457f, 0.0034161957f, 3.5125978e-4f, -5.636935e-4f, -1.00900026e-4f, -5.120777e-6f, -9.46364e-8f, 0},
  {0.0013732396f, 7.852902e-5f, -5.0585833e-4f, 7.2962204e-5f, 4.1437965e-5f, 3.246345e-6f, 8.216372e-8f, 0},
  {2.0518624e-4f, -3.21493e-4f, 1.0613883e-4f, 2.2711774e-5f, -1.1052412e-5f, -1.4433798e-6f, -4.765046e-8f, 0},
};
// 1 - P(a) - a p(a), p being its density
static constexpr float kTailSlope[8][8] = {
  {0.16772787f, -0.1274689f, -0.061918408f, -0.008886792f, -5.036504e-4f, -1.2083118e-5f, -1.2613374e-7f, 0},
  {-0.5790714f, -0.032397054f, 0.08820992f, 0.0215423f, 0.001665443f, 5.013477e-5f, 6.273082e-7f, 0},
  {0.2412996f, 0.19198498f, -0.027820572f, -0.022029063f, -0.0025377232f, -9.899487e-5f, -1.5095711e-6f, 0},
  {0.112378865f, -0.10144217f, -0.024437703f, 0.011057205f, 0.002318476f, 1.2297892e-4f, 2.3293192e-6f, 0},
  {-0.066202894f, -0.009178824f, 0.02330863f, -0.0013282201f, -0.0013665317f, -1.06723026e-4f, -2.559133e-6f, 0},
  {-0.014273417f, 0.021013346f, -0.0056009074f, -0.0017036322f, 4.943518e-4f, 6.806467e-5f, 2.1807339e-6f, 0},
  {0.010200152f, -0.0027566536f, -0.0016961856f, 0.0010621058f, -5.539754e-5f, -3.306823e-5f, -1.6317546e-6f, 0},
  {0.0011266058f, -0.002061802f, 0.001169222f, -2.0791659e-4f, -3.765917e-5f, 1.0691186e-5f, 8.362649e-7f, 0},
};
// sigmoid(-v), v = 2 sqrt(2/pi) (a + 0.044715 a^3)
static constexpr float kTanhTail[8][8] = {
  {0.32838577f, 0.09138588f, 0.013006723f, 8.135532e-4f, 1.7561464e-5f, 9.7874775e-8f, 1.0401213e-10f, 0},
  {-0.32112917f, -0.1458697f, -0.030272393f, -0.0026501704f, -7.8374396e-5f, -5.840658e-7f, -8.110427e-10f, 0},
  {0.06366362f, 0.08598382f, 0.029939275f, 0.003885194f, 1.6300572e-4f, 1.6638817e-6f, 3.0997929e-9f, 0},
  {0.03391648f, -0.014926461f, -0.015456093f, -0.0033202458f, -2.0800186e-4f, -2.987903e-6f, -7.4043687e-9f, 0},
  {-0.011913233f, -0.006707523f, 0.003605812f, 0.0017666025f, 1.7978893e-4f, 3.7421073e-6f, 1.1883632e-8f, 0},
  {-0.003106044f, 0.0034152658f, 3.496308e-4f, -5.5125647e-4f, -1.09141765e-4f, -3.571211e-6f, -1.6656962e-8f, 0},
  {0.0014375403f, 5.0223684e-6f, -4.578687e-4f, 5.3225143e-5f, 4.614588e-5f, 2.9048279e-6f, 2.4419773e-8f, 0},
  {2.1151353e-4f, -3.187614e-4f, 9.776023e-5f, 2.6397129e-5f, -1.1569958e-5f, -1.5365855e-6f, -1.9236099e-8f, 0},
};
// sigmoid(-v) - a sigmoid(v) sigmoid(-v) dv/da
static constexpr float kTanhTailSlope[8][8] = {
  {0.16782121f, -0.12741871f, -0.062674254f, -0.008462042f, -3.3512418e-4f, -3.114399e-6f, -5.159419e-9f, 0},
  {-0.5785942f, -0.033788633f, 0.08915143f, 0.021896329f, 0.0013102754f, 1.7107777e-5f, 3.802213e-8f, 0},
  {0.24186224f, 0.19078435f, -0.02610319f, -0.023207162f, -0.0023189252f, -4.4317163e-5f, -1.3589047e-7f, 0},
  {0.11181772f, -0.099923715f, -0.025759859f, 0.01143899f, 0.0024052795f, 7.144589e-5f, 3.0567878e-7f, 0},
  {-0.06728671f, -0.007949214f, 0.02240371f, -8.118018e-4f, -0.0015578464f, -7.938592e-5f, -4.711766e-7f, 0},
  {-0.014114312f, 0.020274486f, -0.0048312237f, -0.0020703503f, 5.8069424e-4f, 6.415185e-5f, 5.9846775e-7f, 0},
  {0.010660598f, -0.0032284448f, -0.0015078959f, 0.0010123492f, -3.7910075e-5f, -3.9182065e-5f, -7.3878397e-7f, 0},
  {0.0011325902f, -0.0018495502f, 9.439878e-4f, -1.07039334e-4f, -6.490656e-5f, 1.5115937e-5f, 5.2577e-7f, 0},
};

// The table's function of |x|; *a: |x|, cut where the function is 0, so that no infinity is multiplied by it.
static inline VecF ofMagnitude(const float (&table)[8][8], VecF x, VecF* a) {
  const VecF m = absolute(x);
  *a = 6.5f < m ? broadcast(6.5f) : m;   // NaN stays
  return inPieces(table, *a * 1.125f - 0.5f);
}
static inline VecF gatedBy(const float (&table)[8][8], VecF x) {
  VecF a;
  const VecF t = ofMagnitude(table, x, &a);
  return relu(x) - a * t;
}
static inline VecF slopeBy(const float (&table)[8][8], VecF x, VecF dy) {
  VecF a;
  const VecF d = ofMagnitude(table, x, &a);
  return dy * (x < 0 ? d : 1 - d);
}

static inline VecF gelu(VecF x) { return gatedBy(kTail, x); }
static inline VecF geluGrad(VecF x, VecF dy) { return slopeBy(kTailSlope, x, dy); }
static inline VecF geluTanh(VecF x) { return gatedBy(kTanhTail, x); }
static inline VecF geluTanhGrad(VecF x, VecF dy) { return slopeBy(kTanhTailSlope, x, dy); }

}  // namespace GRAFT_ISA_NS
}  // namespace graft
