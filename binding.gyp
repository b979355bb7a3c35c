# build/Release/graft.node: the core once, the kernels once per instruction set (kernels/core/isa.cc chooses at start).
{
  "variables": {
    "variables": {"gnu_compiler%": 0},   # set by scripts/build-native.mjs
    "gnu_compiler%": "<(gnu_compiler)",
    # a * b + c may become one fused multiply-add; errno and traps of mathematical functions are not observed by anyone.
    "kernel_flags": ["-std=c++17", "-fPIC", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fno-exceptions", "-fno-rtti",
                     "-fvisibility=hidden", "-fno-threadsafe-statics", "-fomit-frame-pointer", "-Wno-psabi"],
    # GCC's -O3 costs half as much time again as its -O2 with the vectoriser, for the same speed. The baseline build runs on hardly any machine.
    "conditions": [
      ["gnu_compiler==1", {"fast_flags": ["-O2", "-ftree-vectorize", "-fvect-cost-model=dynamic", "-fpeel-loops"], "baseline_flags": ["-O1"]},
                          {"fast_flags": ["-O3"], "baseline_flags": ["-O2"]}],
    ],
    "core_flags": ["-std=c++17", "-O2", "-fPIC", "-fno-rtti", "-fvisibility=hidden"],
    "core_sources": ["kernels/bind/napi.cc", "kernels/abi/graft.cc", "kernels/core/cores.cc", "kernels/core/engine.cc", "kernels/core/finite.cc",
                     "kernels/core/isa.cc", "kernels/core/memory.cc", "kernels/core/opcodes.cc", "kernels/core/plan.cc", "kernels/core/pool.cc"],
  },
  "target_defaults": {"cflags!": ["-fno-omit-frame-pointer", "-O3"], "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-fno-omit-frame-pointer"]},
  "conditions": [
    ["target_arch=='x64'", {
      "variables": {"isa_libraries": ["kernels_avx512", "kernels_avx2", "kernels_scalar"]},
      "targets": [
        {
          "target_name": "kernels_scalar", "type": "static_library", "sources": ["kernels/ops/all.cc"],
          "cflags_cc": ["<@(kernel_flags)", "<@(baseline_flags)"],
          "xcode_settings": {"OTHER_CPLUSPLUSFLAGS": ["<@(kernel_flags)", "<@(baseline_flags)"]},
        },
        {
          "target_name": "kernels_avx2", "type": "static_library", "sources": ["kernels/ops/all.cc"],
          "variables": {"isa_flags": ["-mavx2", "-mfma", "-mf16c"]},
          "cflags_cc": ["<@(kernel_flags)", "<@(fast_flags)", "<@(isa_flags)"],
          "xcode_settings": {"OTHER_CPLUSPLUSFLAGS": ["<@(kernel_flags)", "<@(fast_flags)", "<@(isa_flags)"]},
        },
        {
          "target_name": "kernels_avx512", "type": "static_library", "sources": ["kernels/ops/all.cc"],
          "variables": {"isa_flags": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx2", "-mfma", "-mf16c", "-mprefer-vector-width=512"]},
          "cflags_cc": ["<@(kernel_flags)", "<@(fast_flags)", "<@(isa_flags)"],
          "xcode_settings": {"OTHER_CPLUSPLUSFLAGS": ["<@(kernel_flags)", "<@(fast_flags)", "<@(isa_flags)"]},
        },
      ],
    }, {
      "variables": {"isa_libraries": ["kernels_native"]},
      "targets": [
        {   # NEON on arm64 (part of the baseline there), plain C++ elsewhere
          "target_name": "kernels_native", "type": "static_library", "sources": ["kernels/ops/all.cc"],
          "cflags_cc": ["<@(kernel_flags)", "<@(fast_flags)"],
          "xcode_settings": {"OTHER_CPLUSPLUSFLAGS": ["<@(kernel_flags)", "<@(fast_flags)"]},
        },
      ],
    }],
  ],
  "targets": [
    {
      "target_name": "graft",
      "sources": ["<@(core_sources)"],
      "dependencies": ["<@(isa_libraries)"],
      "cflags_cc": ["<@(core_flags)"],
      "xcode_settings": {"OTHER_CPLUSPLUSFLAGS": ["<@(core_flags)"]},
      "ldflags": ["-pthread"],
    },
  ],
}
