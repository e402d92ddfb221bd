"""Keras's applications: parameters that are trained, MACs, and the sizes of their tables. Keras prints the
parameters together with what is not trained; tests/parity compares both."""

from published.figures import Published

RESNET = "3x224x224 64x112x112 64x56x56 256x56x56 512x28x28 1024x14x14 2048x7x7 2048x1x1 1000"
RESNET_V2 = (
    "3x224x224 64x112x112 64x114x114 64x56x56 256x56x56 256x28x28 512x28x28 512x14x14 1024x14x14 1024x7x7 "
    "2048x7x7 2048x1x1 1000"
)
VGG = "3x224x224 64x224x224 64x112x112 128x56x56 256x28x28 512x14x14 512x7x7 4096 4096 1000"
DENSENET = (
    "3x224x224 64x112x112 64x56x56 256x56x56 128x28x28 512x28x28 256x14x14 {0}x14x14 {1}x7x7 {2}x7x7 "
    "{2}x1x1 1000"
)
INCEPTION = "3x299x299 32x149x149 32x147x147 64x147x147 64x73x73 80x73x73 192x71x71 192x35x35 "


def efficientnet(size: int, stem: int, widths: tuple[int, ...], last: int) -> str:
    """Sizes: each of the strides rounds up."""
    sides = [size]
    for _ in range(5):
        sides.append((sides[-1] + 1) // 2)
    stages = zip(widths, (1, 2, 3, 4, 4, 5, 5), strict=True)
    rows = [
        (3, size),
        (stem, sides[1]),
        *((width, sides[stage]) for width, stage in stages),
        (last, sides[5]),
        (last, 1),
    ]
    return " ".join(f"{channels}x{side}x{side}" for channels, side in rows) + " 1000"


KERAS: dict[str, Published] = {
    "keras/xception": Published(
        22_855_952,
        8_357_403_496,
        "3x299x299 32x149x149 64x147x147 128x74x74 256x37x37 728x19x19 1024x10x10 1536x10x10 2048x10x10 "
        "2048x1x1 1000",
    ),
    "keras/vgg16": Published(138_357_544, 15_470_264_320, VGG),
    "keras/vgg19": Published(143_667_240, 19_632_062_464, VGG),
    "keras/resnet50": Published(25_583_592, 3_857_973_248, RESNET),
    "keras/resnet101": Published(44_601_832, 7_570_194_432, RESNET),
    "keras/resnet152": Published(60_268_520, 11_282_415_616, RESNET),
    "keras/resnet50_v2": Published(25_568_360, 3_482_255_360, RESNET_V2),
    "keras/resnet101_v2": Published(44_577_896, 7_194_476_544, RESNET_V2),
    "keras/resnet152_v2": Published(60_236_904, 10_906_697_728, RESNET_V2),
    "keras/inception_v3": Published(
        23_817_352, 5_713_216_096, INCEPTION + "256x35x35 288x35x35 768x17x17 1280x8x8 2048x8x8 2048x1x1 1000"
    ),
    "keras/inception_resnet_v2": Published(
        55_813_192, 13_155_794_016, INCEPTION + "320x35x35 1088x17x17 2080x8x8 1536x8x8 1536x1x1 1000"
    ),
    "keras/mobilenet": Published(
        4_231_976,
        568_740_352,
        "3x224x224 32x112x112 64x112x112 128x56x56 256x28x28 512x14x14 1024x7x7 1024x1x1 1000x1x1 1000",
    ),
    "keras/mobilenet_v2": Published(
        3_504_872,
        300_774_272,
        "3x224x224 32x112x112 16x112x112 24x56x56 32x28x28 64x14x14 96x14x14 160x7x7 320x7x7 1280x7x7 "
        "1280x1x1 1000",
    ),
    "keras/densenet121": Published(7_978_856, 2_834_161_664, DENSENET.format(1024, 512, 1024)),
    "keras/densenet169": Published(14_149_480, 3_359_843_328, DENSENET.format(1280, 640, 1664)),
    "keras/densenet201": Published(20_013_928, 4_291_365_888, DENSENET.format(1792, 896, 1920)),
    "keras/nasnet_mobile": Published(
        5_289_978,
        563_638_816,
        "3x224x224 32x111x111 44x56x56 88x28x28 264x28x28 352x14x14 528x14x14 704x7x7 1056x7x7 1056x1x1 1000",
    ),
    "keras/nasnet_large": Published(
        88_753_150,
        23_783_414_658,
        "3x331x331 96x165x165 168x83x83 336x42x42 1008x42x42 1344x21x21 2016x21x21 2688x11x11 4032x11x11 "
        "4032x1x1 1000",
    ),
    "keras/efficientnet_b0": Published(
        5_288_548, 385_814_752, efficientnet(224, 32, (16, 24, 40, 80, 112, 192, 320), 1280)
    ),
    "keras/efficientnet_b1": Published(
        7_794_184, 686_802_832, efficientnet(240, 32, (16, 24, 40, 80, 112, 192, 320), 1280)
    ),
    "keras/efficientnet_b2": Published(
        9_109_994, 993_561_872, efficientnet(260, 32, (16, 24, 48, 88, 120, 208, 352), 1408)
    ),
    "keras/efficientnet_b3": Published(
        12_233_232, 1_827_141_392, efficientnet(300, 40, (24, 32, 48, 96, 136, 232, 384), 1536)
    ),
    "keras/efficientnet_b4": Published(
        19_341_616, 4_393_771_024, efficientnet(380, 48, (24, 32, 56, 112, 160, 272, 448), 1792)
    ),
    "keras/efficientnet_b5": Published(
        30_389_784, 10_266_384_752, efficientnet(456, 48, (24, 40, 64, 128, 176, 304, 512), 2048)
    ),
    "keras/efficientnet_b6": Published(
        43_040_704, 19_067_593_536, efficientnet(528, 56, (32, 40, 72, 144, 200, 344, 576), 2304)
    ),
    "keras/efficientnet_b7": Published(
        66_347_960, 37_745_884_192, efficientnet(600, 64, (32, 48, 80, 160, 224, 384, 640), 2560)
    ),
}
