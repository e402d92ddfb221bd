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
}
