"""Reads QR codes as an authenticator app does."""

import io
import re
from xml.etree import ElementTree

import zxingcpp
from PIL import Image

SCALE = 4  # pixels of a module
BLOCKS = set("\u2580\u2584\u2588")
HALVES = {" ": (0, 0), "\u2580": (255, 0), "\u2584": (0, 255), "\u2588": (255, 255)}


def read_png(png: bytes) -> str:
    """Return the text of the code in a picture."""
    return _read(Image.open(io.BytesIO(png)).convert("L"))


def read_svg(svg: str) -> str:
    """Return the text of a code whose dark modules are the strokes of one path: runs to the right, each at a distance from the last."""
    root = ElementTree.fromstring(svg)
    side = int(root.attrib["viewBox"].split()[2])
    (path,) = (node.attrib["d"] for node in root.iter() if "stroke" in node.attrib)
    modules = Image.new("L", (side, side), 255)
    x = y = 0.0
    for right, down, length in re.findall(r"[Mm](-?[\d.]+) (-?[\d.]+)h(\d+)", path):
        x, y = x + float(right), y + float(down)
        modules.paste(0, (int(x), int(y), int(x) + int(length), int(y) + 1))
        x += int(length)
    return _read(_enlarged(modules))


def read_blocks(text: str) -> str:
    """Return the text of a code drawn with half blocks between other lines, two modules in a character. The blocks are light."""
    lines = [line for line in text.splitlines() if set(line) & BLOCKS]
    pixels = [HALVES[character][half] for line in lines for half in (0, 1) for character in line]
    return _read(_enlarged(Image.frombytes("L", (len(lines[0]), 2 * len(lines)), bytes(pixels))))


def _enlarged(modules: Image.Image) -> Image.Image:
    return modules.resize((modules.width * SCALE, modules.height * SCALE), Image.Resampling.NEAREST)


def _read(picture: Image.Image) -> str:
    (code,) = zxingcpp.read_barcodes(picture)
    return code.text
