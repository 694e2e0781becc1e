#!/usr/bin/env python3
"""Pictures against PIL: decoded, resized and made ready for a network, equal to the bit.
Usage: images.py LIBTENON.so [FOLDER of photographs]     Exit code 77: PIL is not here."""
import ctypes
import os
import sys
import tempfile

try:
    import numpy as np
    import PIL
    from PIL import Image, ImageOps
except ImportError:
    print("skipped: PIL or numpy is not installed")
    sys.exit(77)


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int), ("rank", ctypes.c_int32),
                ("dim", ctypes.c_int64 * 8), ("stride", ctypes.c_int64 * 8)]


class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("colour", ctypes.c_int), ("wide", ctypes.c_bool),
                ("as_stored", ctypes.c_bool), ("max_pixels", ctypes.c_int64)]


class Steps(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("shorter_side", ctypes.c_int32), ("resize_height", ctypes.c_int32),
                ("resize_width", ctypes.c_int32), ("filter", ctypes.c_int), ("crop_height", ctypes.c_int32),
                ("crop_width", ctypes.c_int32), ("channels", ctypes.c_int32), ("bgr", ctypes.c_bool),
                ("invert", ctypes.c_bool), ("no_scale", ctypes.c_bool), ("mean", ctypes.c_float * 3),
                ("deviation", ctypes.c_float * 3)]


lib = ctypes.CDLL(os.path.abspath(sys.argv[1]))
for name in "tn_image_load", "tn_image_prepare", "tn_image_preset":
    getattr(lib, name).restype = ctypes.c_void_p
lib.tn_status_message.restype = ctypes.c_char_p
lib.tn_status_message.argtypes = [ctypes.c_void_p]
TYPES = {1: (np.float32, ctypes.c_float), 2: (np.uint8, ctypes.c_uint8), 4: (np.uint16, ctypes.c_uint16)}
checked = 0


def must(status):
    if status:
        sys.exit(lib.tn_status_message(status).decode())


def take(tensor):
    kind, c = TYPES[tensor.dtype]
    shape = tuple(tensor.dim[: tensor.rank])
    out = np.array(np.ctypeslib.as_array(ctypes.cast(tensor.data, ctypes.POINTER(c)), shape), kind)
    lib.tn_tensor_free(ctypes.byref(tensor))
    return out


def load(path, **options):
    tensor, own = Tensor(), Options(ctypes.sizeof(Options), **options)
    must(lib.tn_image_load(os.fsencode(path), ctypes.byref(own), ctypes.byref(tensor)))
    return take(tensor)


def prepare(pixels, steps):
    pixels = np.ascontiguousarray(pixels)
    tensor, out = Tensor(pixels.ctypes.data, 2, 3), Tensor()
    tensor.dim[:3] = pixels.shape
    must(lib.tn_image_prepare(ctypes.byref(tensor), ctypes.byref(steps), ctypes.byref(out)))
    return take(out)[0]


def same(what, got, want):
    global checked
    want = want if want.ndim == 3 else want[..., None]
    if got.shape != want.shape or (got != want).any():
        sys.exit(f"{what}: {got.shape} {want.shape}" + (f", {(got != want).sum()} values differ"
                                                        if got.shape == want.shape else ""))
    checked += 1


random = np.random.default_rng(1)
work = tempfile.mkdtemp()
photos = [os.path.join(sys.argv[2], name) for name in sorted(os.listdir(sys.argv[2]))] if len(sys.argv) > 2 else []


def made(h, w):
    y, x = np.mgrid[0:h, 0:w]
    pixels = np.stack([128 + 100 * np.sin(x / 7 + y / 11), 128 + 90 * np.cos(x / 5 - y / 9), (x * 3 + y * 2) % 256], -1)
    return (pixels + random.normal(0, 4, pixels.shape)).clip(0, 255).astype(np.uint8)


def saved(image, ending, **options):
    path = os.path.join(work, "picture." + ending)
    image.save(path, **options)
    return path


def check_file(what, path, **options):
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    same(what, load(path, **options), np.array(image))
    same(what + ", grey", load(path, colour=2), np.array(image.convert("L")))
    same(what + ", BGR", load(path, colour=1), np.array(image)[..., ::-1])


picture = Image.fromarray(made(37, 53))
for path in photos:
    check_file(path, path)
for quality in 30, 75, 95, 100:
    for subsampling in 0, 1, 2:
        for progressive in False, True:
            for mode in "RGB", "L", "CMYK":
                path = saved(picture.convert(mode), "jpg", quality=quality, progressive=progressive,
                             restart_marker_blocks=3 if quality == 75 else 0,
                             **({"subsampling": subsampling} if mode == "RGB" else {}))
                check_file(f"JPEG {mode} {quality} {subsampling} {progressive}", path)
for orientation in range(1, 9):
    tags = Image.Exif()
    tags[0x0112] = orientation
    for ending in "jpg", "png":
        check_file(f"{ending}, orientation {orientation}", saved(picture, ending, exif=tags))
    same("as stored", load(saved(picture, "png", exif=tags), as_stored=True), np.array(picture))
for mode in "1", "L", "P", "RGB", "RGBA", "LA":
    check_file(f"PNG {mode}", saved(picture.convert(mode), "png"))
for colours in 2, 4, 16, 200:
    palette = picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=colours)
    check_file(f"PNG of {colours} colours", saved(palette, "png", transparency=1))
    check_file(f"BMP of {colours} colours", saved(palette, "bmp"))
for mode in "RGB", "L":
    check_file(f"BMP {mode}", saved(picture.convert(mode), "bmp"))
    check_file(f"PNM {mode}", saved(picture.convert(mode), "ppm"))
wide = made(37, 53)[..., 0].astype(np.uint16) * 251 + 7
same("PNG of 16 bits", load(saved(Image.fromarray(wide), "png"), colour=2, wide=True), wide)

# Pillow before 13 takes rows first always; since then, columns first where that is less work.
newest = int(PIL.__version__.split(".")[0]) >= 13
FILTERS = [Image.Resampling[name] for name in ("BILINEAR", "BICUBIC", "NEAREST", "BOX", "LANCZOS")]
for i in range(600):
    h, w = random.integers(1, 90, 2) if i % 3 else random.integers(100, 400, 2)
    height, width = random.integers(1, 120, 2)
    channels = 1 if i % 4 == 0 else 3
    if i % 7 == 0: width = w
    if i % 11 == 0: height = h
    if not newest and h - height > 2 * max(w - width, 0): continue
    pixels = (random.integers(0, 256, (h, w, channels)) if i % 2 else
              255 * random.integers(0, 2, (h, w, channels))).astype(np.uint8)
    steps = Steps(ctypes.sizeof(Steps), 0, height, width, i % 5, channels=channels, no_scale=True)
    image = Image.fromarray(pixels if channels == 3 else pixels[..., 0]).resize((int(width), int(height)), FILTERS[i % 5])
    same(f"{w}x{h} to {width}x{height} filter {i % 5}", prepare(pixels, steps),
         np.array(image).reshape(height, width, channels).transpose(2, 0, 1))


def wanted(image, name, side):
    """What torchvision's Resize, CenterCrop, ToTensor and Normalize do."""
    if name == "mnist":
        image, mean, deviation = image.convert("L").resize((side, side), Image.BILINEAR), [.1307], [.3081]
    else:
        shorter, (w, h) = int(256 / 224 * side), image.size
        size = (shorter, int(shorter * h / w)) if w <= h else (int(shorter * w / h), shorter)
        image = image.resize(size, Image.BICUBIC if name == "swin" else Image.BILINEAR)
        left, top = int(round((size[0] - side) / 2.0)), int(round((size[1] - side) / 2.0))
        image = image.crop((left, top, left + side, top + side))
        mean, deviation = [.485, .456, .406], [.229, .224, .225]
    x = np.array(image, np.float32).reshape(side, side, -1) / np.float32(255)
    return ((x - np.float32(mean)) / np.float32(deviation)).transpose(2, 0, 1)


images = [Image.open(path).convert("RGB") for path in photos]
images += [Image.fromarray(made(*size)) for size in ((300, 201), (41, 700), (255, 255), (400, 333), (28, 28))]
for image in images:
    for name, side in ("imagenet", 224), ("resnet50", 64), ("alexnet", 63), ("swin", 224), ("swin", 384), ("mnist", 28):
        steps = Steps(ctypes.sizeof(Steps))
        must(lib.tn_image_preset(name.encode(), side, ctypes.byref(steps)))
        same(f"{image.size} {name} {side}", prepare(np.array(image), steps), wanted(image, name, side))
print(f"{checked} pictures equal PIL {PIL.__version__}'s to the bit" + ("" if photos else "; no photographs here"))
