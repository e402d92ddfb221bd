"""LeNet to Inception, and what the first release had."""

from published.figures import Published

RESNET = "3x224x224 64x112x112 64x56x56 {}x56x56 {}x28x28 {}x14x14 {}x7x7 {}x1x1 1000"
BASIC = RESNET.format(64, 128, 256, 512, 512)
BOTTLENECK = RESNET.format(256, 512, 1024, 2048, 2048)
VGG = "3x224x224 64x224x224 64x112x112 128x56x56 256x28x28 512x14x14 512x7x7 4096 4096 1000"
ALEXNET = (
    "3x227x227 96x55x55 96x27x27 256x27x27 256x13x13 384x13x13 384x13x13 256x13x13 256x6x6 4096 4096 1000"
)
GOOGLENET = (
    "3x224x224 64x112x112 64x56x56 192x56x56 192x28x28 256x28x28 480x28x28 480x14x14 512x14x14 528x14x14 "
)
GOOGLENET += "832x14x14 832x7x7 1024x7x7 1024x1x1 1000"

CLASSIC = {
    "lenet5": Published(61_706, 416_520, "1x32x32 6x28x28 6x14x14 16x10x10 16x5x5 120x1x1 84 10"),
    "alexnet": Published(62_378_344, 1_135_256_096, ALEXNET),
    "alexnet_two_towers": Published(60_965_224, 724_406_816, ALEXNET),
    "alexnet_torchvision": Published(
        61_100_840, 714_188_480, "3x224x224 64x55x55 64x27x27 192x13x13 256x6x6 1000"
    ),
    "zfnet": Published(
        62_357_608, 1_168_032_896, "3x224x224 96x110x110 96x55x55 256x26x26 256x13x13 256x6x6 1000"
    ),
    "zfnet_wide": Published(
        107_627_624, 2_476_704_896, "3x224x224 96x110x110 256x26x26 1024x13x13 512x6x6 1000"
    ),
    "vgg11": Published(132_863_336, 7_609_090_048, VGG),
    "vgg11_lrn": Published(132_863_336, 7_609_090_048, VGG),
    "vgg13": Published(133_047_848, 11_308_466_176, VGG),
    "vgg16": Published(138_357_544, 15_470_264_320, VGG),
    "vgg16c": Published(133_638_952, 11_770_888_192, VGG),
    "vgg19": Published(143_667_240, 19_632_062_464, VGG),
    "nin_cifar": Published(
        966_986, 222_486_528, "3x32x32 192x32x32 96x32x32 96x16x16 192x16x16 192x8x8 10x8x8 10x1x1 10"
    ),
    "googlenet": Published(13_378_280, 1_582_671_872, GOOGLENET),
    "googlenet_bn": Published(13_004_888, 1_498_376_192, GOOGLENET),
    "resnet18": Published(11_689_512, 1_814_073_344, BASIC),
    "resnet34": Published(21_797_672, 3_663_761_408, BASIC),
    "resnet50": Published(25_557_032, 4_089_184_256, BOTTLENECK),
    "resnet101": Published(44_549_160, 7_801_405_440, BOTTLENECK),
    "resnet152": Published(60_192_808, 11_513_626_624, BOTTLENECK),
    "densenet121": Published(
        7_978_856,
        2_834_161_664,
        "3x224x224 64x112x112 64x56x56 256x56x56 128x28x28 512x28x28 256x14x14 1024x14x14 "
        "512x7x7 1024x7x7 1000",
    ),
    "mobilenet_v2": Published(
        3_504_872,
        300_774_272,
        "3x224x224 32x112x112 16x112x112 24x56x56 32x28x28 64x14x14 96x14x14 160x7x7 "
        "320x7x7 1280x7x7 1280x1x1 1000",
    ),
    "inception_v3": Published(
        27_161_264,
        5_713_216_096,
        "3x299x299 32x149x149 32x147x147 64x147x147 64x73x73 80x73x73 192x71x71 192x35x35 256x35x35 "
        "288x35x35 768x17x17 1280x8x8 2048x8x8 2048x1x1 1000",
    ),
    "fractalnet_cifar": Published(
        33_724_618, 845_222_912, "3x32x32 64x16x16 128x8x8 256x4x4 512x2x2 512x1x1 10"
    ),
    "unet": Published(
        31_030_658,
        48_096_083_968,
        "1x256x256 64x256x256 128x128x128 256x64x64 512x32x32 1024x16x16 512x32x32 1024x32x32 512x32x32 "
        "512x64x64 256x64x64 256x128x128 128x128x128 128x256x256 64x256x256 2x256x256",
    ),
    "cifar_quiz1": Published(62_006, 651_720, "3x32x32 6x28x28 6x14x14 16x10x10 16x5x5 120 84 10"),
    "cifar_quiz2": Published(9_225_610, 152_769_536, "3x32x32 64x16x16 128x8x8 256x4x4 512x2x2 512x1x1 10"),
    "cifar_quiz3": Published(1_094_910, 379_759_272, "3x32x32 64x32x32 256x32x32 64x16x16 64x8x8 120 84 10"),
    "vgg11_bn": Published(132_868_840, 7_609_090_048, VGG),
    "vgg13_bn": Published(133_053_736, 11_308_466_176, VGG),
    "vgg16_bn": Published(138_365_992, 15_470_264_320, VGG),
    "vgg19_bn": Published(143_678_248, 19_632_062_464, VGG),
    "nin_imagenet": Published(
        7_595_176,
        1_100_188_800,
        "3x224x224 96x54x54 96x27x27 256x27x27 256x13x13 384x13x13 384x6x6 1024x6x6 1000x6x6 1000x1x1 1000",
    ),
    "all_cnn_a": Published(
        1_254_250, 181_145_088, "3x32x32 96x32x32 96x16x16 192x16x16 192x8x8 192x6x6 10x6x6 10x1x1 10"
    ),
    "all_cnn_b": Published(
        1_300_618, 200_019_456, "3x32x32 96x32x32 96x16x16 192x16x16 192x8x8 192x6x6 10x6x6 10x1x1 10"
    ),
    "all_cnn_c": Published(
        1_369_738, 270_798_336, "3x32x32 96x32x32 96x16x16 192x16x16 192x8x8 192x6x6 10x6x6 10x1x1 10"
    ),
    "highway_cifar": Published(
        2_256_838, 330_826_728, "3x32x32 32x32x32 32x16x16 80x16x16 80x8x8 128x8x8 100x8x8 100x1x1 10"
    ),
    "dsn_cifar": Published(
        3_547_496,
        222_486_528,
        "3x32x32 192x32x32 160x32x32 96x32x32 96x16x16 192x16x16 192x8x8 10x8x8 10x1x1 10",
    ),
    "preluenet_a": Published(
        178_032_072,
        19_058_106_368,
        "3x224x224 96x112x112 96x56x56 256x56x56 256x28x28 512x28x28 512x14x14 512x7x7 25088 512x3x3 4608 "
        "512x2x2 2048 512x1x1 512 32256 4096 4096 1000",
    ),
    "bn_inception": Published(
        11_295_240,
        2_032_600_064,
        "3x224x224 64x112x112 64x56x56 192x56x56 192x28x28 256x28x28 320x28x28 576x14x14 608x14x14 1056x7x7 "
        "1024x7x7 1024x1x1 1000",
    ),
    "inception_v4": Published(
        42_679_816,
        12_253_974_624,
        "3x299x299 32x149x149 32x147x147 64x147x147 160x73x73 192x71x71 384x35x35 1024x17x17 1536x8x8 "
        "1536x1x1 1000",
    ),
    "inception_resnet_v2": Published(
        55_843_464,
        13_155_794_016,
        "3x299x299 32x149x149 32x147x147 64x147x147 64x73x73 80x73x73 192x71x71 192x35x35 320x35x35 "
        "1088x17x17 2080x8x8 1536x8x8 1536x1x1 1000",
    ),
    "xception": Published(
        22_855_952,
        8_357_403_496,
        "3x299x299 32x149x149 64x147x147 128x147x147 128x74x74 256x74x74 256x37x37 728x37x37 728x19x19 "
        "1024x19x19 1024x10x10 1536x10x10 2048x10x10 2048x1x1 1000",
    ),
    "nasnet_a_large": Published(
        88_753_150,
        23_783_414_658,
        "3x331x331 96x165x165 168x83x83 336x42x42 1008x42x42 1344x21x21 2016x21x21 2688x11x11 4032x11x11 "
        "4032x1x1 1000",
    ),
    "nasnet_a_mobile": Published(
        5_289_978,
        563_638_816,
        "3x224x224 32x111x111 44x56x56 88x28x28 264x28x28 352x14x14 528x14x14 704x7x7 1056x7x7 1056x1x1 1000",
    ),
    "unet_valid": Published(
        31_030_658,
        150_428_424_448,
        "1x572x572 64x570x570 64x568x568 64x284x284 128x282x282 128x280x280 128x140x140 256x138x138 "
        "256x136x136 256x68x68 512x66x66 512x64x64 512x32x32 1024x30x30 1024x28x28 512x56x56 1024x56x56 "
        "512x54x54 512x52x52 256x104x104 512x104x104 256x102x102 256x100x100 128x200x200 256x200x200 "
        "128x198x198 128x196x196 64x392x392 128x392x392 64x390x390 64x388x388 2x388x388",
    ),
}
