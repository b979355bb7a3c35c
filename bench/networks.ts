import { conv, linear, trained, transformer } from "./flops.js";
import type { Workload } from "./workloads.js";

/** An inverted residual: to 6 times the channels, 3x3 for each, to the outputs. */
const inverted = (inputs: number, outputs: number, side: number, stride: number): number =>
  conv(16, inputs, 6 * inputs, side, 1) + conv(16, 1, 6 * inputs, side / stride, 3) + conv(16, 6 * inputs, outputs, side / stride, 1);
const convnext = (width: number, side: number): number => conv(8, 1, width, side, 7) + 2 * linear(8 * side ** 2, width, 4 * width);
const conv1d = (batch: number, inputs: number, outputs: number, length: number, kernel: number): number => 2 * batch * inputs * outputs * length * kernel;

const rows: readonly (readonly [name: string, what: string, flops: number])[] = [
  [
    "mobilenet_32_b16", "MobileNetV2 of 4 blocks (depthwise convolutions, ReLU6), 16 images of 3x32x32",
    trained(conv(16, 3, 16, 32, 3), inverted(16, 24, 32, 2), inverted(24, 24, 16, 1), inverted(24, 32, 16, 2), inverted(32, 32, 8, 1), linear(16, 32, 10)),
  ],
  [
    "convnext_128_b8", "2 blocks of ConvNeXt (7x7 depthwise convolutions, layer norm), 64 wide, 8 images of 3x128x128",
    trained(conv(8, 3, 64, 32, 4), 2 * convnext(64, 32), linear(8, 64, 10)),
  ],
  ["vit_64_b16", "vision transformer of 4 layers, 192 wide, 16 images of 3x64x64 in patches of 8x8", trained(conv(16, 3, 192, 8, 8), transformer(1024, 64, 4, 192), linear(16, 192, 100))],
  [
    "unet_64_b4", "U-Net of 3 levels (group norm, SiLU, transposed convolutions), 4 images of 3x64x64, a class for each pixel",
    trained(
      conv(4, 3, 32, 64, 3), conv(4, 32, 64, 32, 3), conv(4, 64, 128, 16, 3),
      conv(4, 128, 64, 16, 2), conv(4, 128, 64, 32, 3), conv(4, 64, 32, 32, 2), conv(4, 64, 32, 64, 3), conv(4, 32, 5, 64, 1),
    ),
  ],
  [
    "speech_1s_b8", "3 convolutions and a GRU of 128 over 399 steps, 8 seconds of sound at 16 kHz",
    trained(conv1d(8, 1, 64, 3199, 10), conv1d(8, 64, 64, 1599, 3), conv1d(8, 64, 128, 399, 3), 2 * linear(8 * 399, 128, 384), linear(8, 128, 35)),
  ],
  ["encoder_4x256_t64_b16", "transformer encoder of 4 layers, 256 wide, 30000 words, dropout, 16 padded texts of 20 to 64 words", trained(0, transformer(1024, 64, 4, 256), linear(16, 256, 2))],
  ["recommender_b1024", "embeddings of 50000 users and 20000 items, perceptron with dropout, binary cross entropy, batch 1024", trained(0, linear(1024, 64, 128), linear(1024, 128, 64), linear(1024, 64, 1))],
  ["generator_b16", "DCGAN's generator for 3x32x32 (transposed convolutions, batch norm), batch 16", trained(conv(16, 64, 128, 1, 4), conv(16, 128, 64, 4, 4), conv(16, 64, 32, 8, 4), conv(16, 32, 3, 16, 4))],
];

/** What else people train, with the layers that the other networks lack. Adam updates all of them. */
export const networks: readonly Workload[] = rows.map(([name, what, flops]) => ({ name: `net_${name}`, group: "networks", what: `${what}, Adam`, flops }));
