#!/usr/bin/env python3
"""Small pictures and what PIL makes of them: tests/fixtures/image/NAME and NAME.npy (the pixels).

Run by hand when a fixture is added: make_fixtures.py FOLDER. Needs Pillow and numpy; the vectors in
tests/unit/test_image.c that this prints were made with Pillow 13.0."""
import os
import sys
import zlib

import numpy as np
from PIL import Image, ImageOps

folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
y, x = np.mgrid[0:13, 0:19]
rgb = np.stack([(x * 13 + y * 3) % 256, (255 - y * 17) % 256, (x * x + y * 11) % 256], -1).astype(np.uint8)
picture = Image.fromarray(rgb)


def keep(name, pixels=None):
    path = os.path.join(folder, name)
    if pixels is None:
        pixels = np.array(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    np.save(path + ".npy", np.ascontiguousarray(pixels))


def save(name, image, pixels=None, **options):
    image.save(os.path.join(folder, name), **options)
    keep(name, pixels)


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


save("baseline.jpg", picture, quality=90)
save("progressive.jpg", picture, quality=75, progressive=True)
save("restart.jpg", picture, quality=60, restart_marker_blocks=1, subsampling=0)
save("grey.jpg", picture.convert("L"))
save("cmyk.jpg", picture.convert("CMYK"))
save("turned.jpg", picture, exif=exif(6))
save("turned.png", picture, exif=exif(7))
save("rgb.png", picture)
save("alpha.png", picture.convert("RGBA"))
save("palette.png", picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=5), transparency=2, bits=4)
save("bits.png", picture.convert("1"))
wide = (rgb[..., 0].astype(np.uint16) * 257 + 3).astype(np.uint16)
save("grey16.png", Image.fromarray(wide), np.repeat((wide >> 8).astype(np.uint8)[..., None], 3, 2))
save("rgb.bmp", picture)
save("palette.bmp", picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=9))
save("rgb.ppm", picture)

# Resizing: 5 x 7 and its hash in a larger case, by each filter.
small = np.array([(i * i * 7 + i * 13) % 256 for i in range(5 * 7)], np.uint8).reshape(5, 7)
large = np.array([(i * i * 5 + i * 11) % 256 for i in range(90 * 41 * 3)], np.uint8).reshape(90, 41, 3)
R = Image.Resampling
for name, f in (("BILINEAR", R.BILINEAR), ("BICUBIC", R.BICUBIC), ("NEAREST", R.NEAREST), ("BOX", R.BOX),
                ("LANCZOS", R.LANCZOS)):
    few = np.array(Image.fromarray(small).resize((4, 3), f)).ravel()
    sums = [zlib.crc32(np.array(Image.fromarray(large).resize(s, f)).tobytes()) for s in ((23, 17), (60, 150))]
    print("{TN_FILTER_%s, {%s}, {0x%08XU, 0x%08XU}}," % (name, ", ".join(map(str, few)), *sums))
