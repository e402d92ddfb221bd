"""ResNets and what came of them: plain twins, pre-activation, wide, aggregated, squeezed, dense."""

from published.figures import Published

IMAGENET = "3x224x224 {0}x112x112 {0}x56x56 {1}x56x56 {2}x28x28 {3}x14x14 {4}x7x7 {4}x1x1 1000"
BASIC = IMAGENET.format(64, 64, 128, 256, 512)
BOTTLENECK = IMAGENET.format(64, 256, 512, 1024, 2048)
SENET154 = "3x224x224 64x112x112 128x112x112 128x56x56 256x56x56 512x28x28 1024x14x14 2048x7x7 2048x1x1 1000"
DENSENET = "3x224x224 {0}x112x112 {0}x56x56 {1}x56x56 {2}x28x28 {3}x28x28 {4}x14x14 {5}x14x14 {6}x7x7 "
DENSENET += "{7}x7x7 {7}x1x1 1000"
CIFAR = "3x32x32 {0}x32x32 {1}x32x32 {2}x16x16 {3}x8x8 {3}x1x1 10"
THIN = CIFAR.format(16, 16, 32, 64)
PREACT = CIFAR.format(16, 64, 128, 256)
DENSE_CIFAR = "3x32x32 {0}x32x32 {1}x32x32 {2}x16x16 {3}x16x16 {4}x8x8 {5}x8x8 {5}x1x1 10"

RESIDUAL = {
    "resnet50_v1": Published(25_557_032, 3_857_973_248, BOTTLENECK),
    "resnet101_v1": Published(44_549_160, 7_570_194_432, BOTTLENECK),
    "resnet152_v1": Published(60_192_808, 11_282_415_616, BOTTLENECK),
    "resnet18_a": Published(11_515_688, 1_794_805_760, BASIC),
    "plain18": Published(11_515_688, 1_794_805_760, BASIC),
    "resnet34_a": Published(21_623_848, 3_644_493_824, BASIC),
    "plain34": Published(21_623_848, 3_644_493_824, BASIC),
    "resnet50_v2": Published(25_549_352, 4_089_184_256, BOTTLENECK),
    "resnet101_v2": Published(44_541_480, 7_801_405_440, BOTTLENECK),
    "resnet152_v2": Published(60_185_128, 11_513_626_624, BOTTLENECK),
    "resnet20_cifar": Published(269_722, 40_551_040, THIN),
    "resnet20_cifar_b": Published(272_474, 40_813_184, THIN),
    "plain20_cifar": Published(269_722, 40_551_040, THIN),
    "resnet32_cifar": Published(464_154, 68_862_592, THIN),
    "resnet32_cifar_b": Published(466_906, 69_124_736, THIN),
    "plain32_cifar": Published(464_154, 68_862_592, THIN),
    "resnet44_cifar": Published(658_586, 97_174_144, THIN),
    "resnet44_cifar_b": Published(661_338, 97_436_288, THIN),
    "plain44_cifar": Published(658_586, 97_174_144, THIN),
    "resnet56_cifar": Published(853_018, 125_485_696, THIN),
    "resnet56_cifar_b": Published(855_770, 125_747_840, THIN),
    "plain56_cifar": Published(853_018, 125_485_696, THIN),
    "resnet110_cifar": Published(1_727_962, 252_887_680, THIN),
    "resnet110_cifar_b": Published(1_730_714, 253_149_824, THIN),
    "plain110_cifar": Published(1_727_962, 252_887_680, THIN),
    "resnet1202_cifar": Published(19_421_274, 2_829_238_912, THIN),
    "resnet1202_cifar_b": Published(19_424_026, 2_829_501_056, THIN),
    "preact_resnet164_cifar": Published(1_703_258, 244_500_992, PREACT),
    "preact_resnet1001_cifar": Published(10_327_706, 1_487_849_984, PREACT),
    "stochastic_depth_resnet110_cifar": Published(1_727_962, 252_887_680, THIN),
    "stochastic_depth_resnet1202_cifar": Published(19_421_274, 2_829_238_912, THIN),
    "wide_resnet16_4": Published(2_748_890, 392_612_352, CIFAR.format(16, 64, 128, 256)),
    "wide_resnet16_8": Published(10_961_370, 1_548_145_664, CIFAR.format(16, 128, 256, 512)),
    "wide_resnet28_10": Published(36_479_194, 5_243_328_768, CIFAR.format(16, 160, 320, 640)),
    "wide_resnet50_2": Published(68_883_240, 11_398_021_120, BOTTLENECK),
    "wide_resnet101_2": Published(126_886_696, 22_753_050_624, BOTTLENECK),
    "res2net50_26w_4s": Published(25_699_120, 4_255_166_464, BOTTLENECK),
    "cspdarknet53": Published(
        27_642_184,
        6_533_652_480,
        "3x256x256 32x256x256 64x128x128 128x64x64 256x32x32 512x16x16 1024x8x8 1024x1x1 1000",
    ),
    "resnext50_32x4d": Published(25_028_904, 4_230_479_872, BOTTLENECK),
    "resnext101_32x8d": Published(88_791_336, 16_414_015_488, BOTTLENECK),
    "resnext101_64x4d": Published(83_455_272, 15_460_270_080, BOTTLENECK),
    "se_resnet50": Published(28_088_024, 3_860_488_192, BOTTLENECK),
    "se_resnet101": Published(49_326_872, 7_574_937_600, BOTTLENECK),
    "se_resnet152": Published(66_821_848, 11_288_993_792, BOTTLENECK),
    "senet154": Published(115_088_984, 20_688_363_520, SENET154),
    "densenet169": Published(
        14_149_480, 3_359_843_328, DENSENET.format(64, 256, 128, 512, 256, 1280, 640, 1664)
    ),
    "densenet201": Published(
        20_013_928, 4_291_365_888, DENSENET.format(64, 256, 128, 512, 256, 1792, 896, 1920)
    ),
    "densenet161": Published(
        28_681_000, 7_727_907_072, DENSENET.format(96, 384, 192, 768, 384, 2112, 1056, 2208)
    ),
    "densenet_cifar_k12_l40": Published(
        1_019_722, 264_812_928, DENSE_CIFAR.format(16, 160, 160, 304, 304, 448)
    ),
    "densenet_cifar_k12_l100": Published(
        6_979_642, 1_769_516_448, DENSE_CIFAR.format(16, 400, 400, 784, 784, 1168)
    ),
    "densenet_cifar_k24_l100": Published(
        27_249_082, 6_889_347_744, DENSE_CIFAR.format(16, 784, 784, 1552, 1552, 2320)
    ),
    "densenet_bc_cifar_k12_l100": Published(
        769_162, 287_929_692, DENSE_CIFAR.format(24, 216, 108, 300, 150, 342)
    ),
    "densenet_bc_cifar_k24_l250": Published(
        15_324_406, 5_418_785_724, DENSE_CIFAR.format(48, 1032, 516, 1500, 750, 1734)
    ),
    "densenet_bc_cifar_k40_l190": Published(
        25_624_430, 9_301_945_740, DENSE_CIFAR.format(80, 1320, 660, 1900, 950, 2190)
    ),
    "keras_cifar_resnet_v1": Published(347_402, 20_168_704, "3x32x32 16x32x32 32x32x32 10"),
    "keras_cifar_resnet_v2": Published(347_434, 20_168_704, "3x32x32 16x32x32 32x32x32 10"),
}
