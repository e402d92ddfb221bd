"""What fits in a phone, and what grew out of it: MobileNet, EfficientNet, SqueezeNet, ShuffleNet, MnasNet,
RegNet, GhostNet, ConvNeXt, FasterNet. Parameters and MACs counted on torchvision's networks, of MobileNet, RegNet,
GhostNet and FasterNet on timm's."""

from published.figures import Published

EFFICIENTNET = "3x{0}x{0} {1}x{2}x{2} {3}x{4}x{4} {5}x{6}x{6} {7}x{8}x{8} {9}x{10}x{10} "
EFFICIENTNET += "{11}x{10}x{10} {11}x1x1 1000"
SHUFFLENET = "3x224x224 24x112x112 24x56x56 {0}x28x28 {1}x14x14 {2}x7x7 {3}x7x7 {3}x1x1 1000"
MNASNET = "3x224x224 {0}x112x112 {1}x112x112 {2}x56x56 {3}x28x28 {4}x14x14 {5}x14x14 {6}x7x7 {7}x7x7 "
MNASNET += "1280x7x7 1280x1x1 1000"
REGNET = "3x224x224 32x112x112 {0}x56x56 {1}x28x28 {2}x14x14 {3}x7x7 {3}x1x1 1000"
CONVNEXT = "3x224x224 {0}x56x56 {1}x28x28 {2}x14x14 {3}x7x7 {3}x1x1 1000"
FASTERNET = "3x224x224 {0}x56x56 {1}x28x28 {2}x14x14 {3}x7x7 {3}x1x1 1280x1x1 1000"

MOBILE = {
    "mobilenet_v1": Published(
        4_231_976,
        568_740_352,
        "3x224x224 32x112x112 64x112x112 64x56x56 128x56x56 128x28x28 256x28x28 256x14x14 512x14x14 512x7x7 "
        "1024x7x7 1024x1x1 1000",
    ),
    "ghostnet_x1_0": Published(
        5_182_508,
        141_150_512,
        "3x224x224 16x112x112 24x56x56 40x28x28 80x14x14 112x14x14 160x7x7 960x7x7 960x1x1 1280x1x1 1000",
    ),
    "mobilenet_v3_large": Published(
        5_483_032,
        216_589_760,
        "3x224x224 16x112x112 64x112x112 64x56x56 24x56x56 72x28x28 40x28x28 240x14x14 80x14x14 184x14x14 "
        "480x14x14 112x14x14 672x7x7 160x7x7 960x7x7 960x1x1 1280 1000",
    ),
    "mobilenet_v3_small": Published(
        2_542_856,
        56_510_400,
        "3x224x224 16x112x112 16x56x56 72x28x28 24x28x28 96x14x14 40x14x14 120x14x14 48x14x14 288x7x7 96x7x7 "
        "576x7x7 576x1x1 1024 1000",
    ),
    "efficientnet_b0": Published(
        5_288_548, 385_814_752, EFFICIENTNET.format(224, 32, 112, 16, 112, 24, 56, 40, 28, 320, 7, 1280)
    ),
    "efficientnet_b1": Published(
        7_794_184, 686_802_832, EFFICIENTNET.format(240, 32, 120, 16, 120, 24, 60, 40, 30, 320, 8, 1280)
    ),
    "efficientnet_b2": Published(
        9_109_994, 993_561_872, EFFICIENTNET.format(260, 32, 130, 16, 130, 24, 65, 48, 33, 352, 9, 1408)
    ),
    "efficientnet_b3": Published(
        12_233_232, 1_827_141_392, EFFICIENTNET.format(300, 40, 150, 24, 150, 32, 75, 48, 38, 384, 10, 1536)
    ),
    "efficientnet_b4": Published(
        19_341_616, 4_393_771_024, EFFICIENTNET.format(380, 48, 190, 24, 190, 32, 95, 56, 48, 448, 12, 1792)
    ),
    "efficientnet_b5": Published(
        30_389_784, 10_266_384_752, EFFICIENTNET.format(456, 48, 228, 24, 228, 40, 114, 64, 57, 512, 15, 2048)
    ),
    "efficientnet_b6": Published(
        43_040_704, 19_067_593_536, EFFICIENTNET.format(528, 56, 264, 32, 264, 40, 132, 72, 66, 576, 17, 2304)
    ),
    "efficientnet_b7": Published(
        66_347_960, 37_745_884_192, EFFICIENTNET.format(600, 64, 300, 32, 300, 48, 150, 80, 75, 640, 19, 2560)
    ),
    "efficientnet_v2_s": Published(
        21_458_488,
        8_365_617_152,
        "3x384x384 24x192x192 48x96x96 64x48x48 128x24x24 160x24x24 256x12x12 1280x12x12 1280x1x1 1000",
    ),
    "efficientnet_v2_m": Published(
        54_139_356,
        24_582_460_384,
        "3x480x480 24x240x240 48x120x120 80x60x60 160x30x30 176x30x30 304x15x15 512x15x15 1280x15x15 1280x1x1 1000",
    ),
    "efficientnet_v2_l": Published(
        118_515_272,
        56_079_699_008,
        "3x480x480 32x240x240 64x120x120 96x60x60 192x30x30 224x30x30 384x15x15 640x15x15 1280x15x15 1280x1x1 1000",
    ),
    "squeezenet1_0": Published(
        1_248_424,
        818_924_576,
        "3x224x224 96x109x109 96x54x54 128x54x54 256x54x54 256x27x27 384x27x27 512x27x27 512x13x13 "
        "1000x13x13 1000x1x1 1000",
    ),
    "squeezenet1_1": Published(
        1_235_496,
        349_151_936,
        "3x224x224 64x111x111 64x55x55 128x55x55 128x27x27 256x27x27 256x13x13 384x13x13 512x13x13 "
        "1000x13x13 1000x1x1 1000",
    ),
    "shufflenet_v2_x0_5": Published(1_366_792, 40_476_448, SHUFFLENET.format(48, 96, 192, 1024)),
    "shufflenet_v2_x1_0": Published(2_278_604, 144_907_992, SHUFFLENET.format(116, 232, 464, 1024)),
    "shufflenet_v2_x1_5": Published(3_503_624, 295_759_392, SHUFFLENET.format(176, 352, 704, 1024)),
    "shufflenet_v2_x2_0": Published(7_393_996, 583_253_464, SHUFFLENET.format(244, 488, 976, 2048)),
    "mnasnet0_5": Published(2_218_512, 104_455_968, MNASNET.format(16, 8, 16, 24, 40, 48, 96, 160)),
    "mnasnet0_75": Published(3_170_208, 215_493_104, MNASNET.format(24, 16, 24, 32, 64, 72, 144, 240)),
    "mnasnet1_0": Published(4_383_312, 314_415_872, MNASNET.format(32, 16, 24, 40, 80, 96, 192, 320)),
    "mnasnet1_3": Published(6_282_256, 526_362_432, MNASNET.format(40, 24, 32, 56, 104, 128, 248, 416)),
    "regnet_x_400mf": Published(5_157_512, 397_677_568, REGNET.format(32, 64, 160, 384)),
    "regnet_x_800mf": Published(7_259_656, 799_699_712, REGNET.format(64, 128, 288, 672)),
    "regnet_y_400mf": Published(4_344_144, 401_842_848, REGNET.format(48, 104, 208, 440)),
    "regnet_x_400mf_torchvision": Published(5_495_976, 413_812_608, REGNET.format(32, 64, 160, 400)),
    "regnet_y_800mf_torchvision": Published(6_432_512, 833_856_256, REGNET.format(64, 144, 320, 784)),
    "regnet_y_800mf": Published(6_263_168, 797_176_832, REGNET.format(64, 128, 320, 768)),
    "convnext_tiny": Published(28_589_128, 4_455_531_264, CONVNEXT.format(96, 192, 384, 768)),
    "convnext_small": Published(50_223_688, 8_683_712_256, CONVNEXT.format(96, 192, 384, 768)),
    "convnext_base": Published(88_591_464, 15_354_729_472, CONVNEXT.format(128, 256, 512, 1024)),
    "convnext_large": Published(197_767_336, 34_361_433_600, CONVNEXT.format(192, 384, 768, 1536)),
    "fasternet_t0": Published(3_905_500, 335_422_720, FASTERNET.format(40, 80, 160, 320)),
    "fasternet_t1": Published(7_595_368, 850_511_872, FASTERNET.format(64, 128, 256, 512)),
    "fasternet_t2": Published(14_982_888, 1_904_334_848, FASTERNET.format(96, 192, 384, 768)),
    "fasternet_s": Published(31_181_032, 4_549_740_544, FASTERNET.format(128, 256, 512, 1024)),
    "fasternet_m": Published(53_521_464, 8_721_938_432, FASTERNET.format(144, 288, 576, 1152)),
    "fasternet_l": Published(93_465_192, 15_494_383_616, FASTERNET.format(192, 384, 768, 1536)),
}
