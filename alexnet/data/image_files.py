"""Read one image file: any mode becomes RGB, any size becomes one square. Damaged and unreadable files raise different
errors."""

import io
import warnings
from pathlib import Path

import numpy as np

from alexnet.errors import DamagedImage, Refused

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM")
"""The formats that Pillow may read, by content, whatever the ending. Phone photographs (MPO) begin as JPEG."""
ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm",
)  # fmt: skip
"""A file with such an ending counts as an image. For any other file, its first bytes decide."""
SNIFFED = 16  # bytes
MOST_PIXELS = 89_478_485  # PIL warns from here on; the largest photographs of ILSVRC have tens of millions
MOST_STRETCHED = 8
"""An image more stretched than this is cut to its middle before it is enlarged: otherwise a line of 8,000 pixels and 104 bytes
would take gigabytes."""


def is_image_name(name: str) -> bool:
    return name.lower().endswith(ENDINGS)


def begins_as_image(start: bytes) -> bool:
    """Whether a file with these first bytes is an image of one of FORMATS."""
    return (
        start.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*"))
        or (start.startswith(b"BM") and start[6:10] == bytes(4))
        or (start.startswith(b"RIFF") and start[8:12] == b"WEBP")
    )


def read(path: Path, side: int = 0) -> np.ndarray:
    """Return an image file as [height, width, 3] uint8, made square if `side` > 0.

    Pixels stay as they are stored (no EXIF rotation). Of 16 bits the upper 8 are used, and transparent pixels are shown on
    white.

    Raises DamagedImage, naming the file, if it is damaged or if it is unknown which pixel values mean black and white. Raises
    Refused, with the system's reason, if the file could not be read.
    """
    from PIL import Image

    content = content_of(path)
    try:
        if not content:
            raise ValueError("the file is empty")
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:  # by its content, whatever its ending
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width}x{image.height} pixels, a decompression bomb")
            if image.format in ("JPEG", "MPO"):
                _check_jpeg(content)
            if why := _of_no_scale(image):
                raise DamagedImage(f"{path}: not readable as a picture ({why}; save it with 8 bits a colour)")
            return square(image, side) if side else np.asarray(_rgb(image))
    except (MemoryError, DamagedImage):
        raise
    except Exception as error:  # PIL raises OSError for most damage, and SyntaxError, ValueError and its own for some
        why = "cannot identify it as an image" if "cannot identify image file" in str(error) else error
        raise DamagedImage(f"{path}: damaged image ({why})") from None


def content_of(path: Path, most: int = -1) -> bytes:
    """Return the first `most` bytes of a file, or all.

    Missing rights, too many open files and disk faults do not mean a damaged image: they raise Refused with the system's
    reason."""
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror})") from None


def _check_jpeg(content: bytes) -> None:
    """Raises ValueError for damage that libjpeg warns about and Pillow ignores: zeros, holes and a missing second half.

    All of the compressed data are decoded, at an eighth of the size, in half the time of the full image. Without the package
    simplejpeg, which a borrowed GPU machine may lack, the check is skipped with a warning."""
    try:
        from simplejpeg import decode_jpeg, decode_jpeg_header
    except ImportError:
        warnings.warn("simplejpeg is not installed: damage inside JPEG files is not detected", stacklevel=2)
        return

    *_, colours, _ = decode_jpeg_header(content)
    decode_jpeg(
        content,
        colorspace="CMYK" if colours in ("CMYK", "YCCK") else "GRAY",
        fastdct=True,
        fastupsample=True,
        min_height=1,
        min_width=1,
        min_factor=8,
        strict=True,
    )


def square(image, side: int) -> np.ndarray:
    """Return a PIL image of any mode as [side, side, 3] uint8: the shorter side is resized to `side`, the longer one cut to its
    middle.

    Images are shrunk by area means and enlarged by cubic interpolation. Source: section 2; cuda-convnet2, make-data
    (pyext.cpp).
    """
    from PIL.Image import Resampling

    rgb = _rgb(_middle(image))
    width, height = rgb.size
    short = min(width, height)
    if short != side:
        size = (max(side, round(width * side / short)), max(side, round(height * side / short)))
        rgb = rgb.resize(size, Resampling.BOX if short > side else Resampling.BICUBIC)
    left, top = (rgb.width - side) // 2, (rgb.height - side) // 2
    return np.asarray(rgb.crop((left, top, left + side, top + side)))


def _middle(image):
    """Return the image, or the middle of a very long one."""
    most = MOST_STRETCHED * min(image.size)
    if max(image.size) <= most:
        return image
    width, height = (min(length, most) for length in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # TIFF tags


def _of_no_scale(image) -> str:
    """Return why it is unknown which values of an opened PIL image are black and white; "" if it is known.

    PIL clips such values to 0 and 255, or uses them as they are: the result is black, white or a negative."""
    if image.mode == "F":
        return "its pixels are floating-point numbers"
    if image.format != "TIFF":
        return ""
    if image.mode == "I":
        return "its pixels are signed or 32-bit integers"
    if 2 in np.atleast_1d(image.tag_v2.get(SAMPLE_FORMAT, 1)):
        return "its pixels are signed integers"
    if image.mode.startswith("I;16") and image.tag_v2[BITS] != (16,):
        return f"its pixels have {image.tag_v2[BITS][0]} bits"
    if image.mode.startswith("I;16") and image.tag_v2[PHOTOMETRIC] == 0:
        return "its 16-bit pixels have 0 for white"
    return ""


def _rgb(image):
    """Return a PIL image of any mode as RGB.

    PIL's own conversion clips 16-bit grey (mode I of a PGM file) at 255, and shows the colour of transparent pixels, which is
    often black."""
    from PIL import Image

    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        if seen.getchannel("A").getextrema() != (0, 0):  # some BMP files have an alpha channel that was never set
            image = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    return image.convert("RGB")
