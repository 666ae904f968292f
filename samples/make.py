#!/usr/bin/env python3
"""Makes picture.png and noise.bin again, byte for byte: python3 samples/make.py

The picture is deflated here and not by zlib.compress, whose output differs between zlib builds;
all arithmetic is +, -, *, / and square root, which every machine rounds alike.
"""

import struct
import zlib
from math import floor, sqrt
from pathlib import Path

HERE = Path(__file__).parent

WIDTH, HEIGHT = 640, 400
PAPER = (252, 251, 247)
INK = (43, 48, 58)
GREY = (134, 140, 150)
BLUE = (33, 99, 176)
GREEN = (46, 139, 87)
RED = (214, 40, 40)

SENDER_X, RECEIVER_X = 190, 440
ONE_WAY = 55  # the drawn delay of the link, in pixels

# Letters as strokes on a grid 4 wide; y = 0 is the top of a capital, 6 the line it stands on.
GLYPHS = {
    "0": "10 30 41 45 36 16 05 01 10", "1": "11 20 26|16 36", "2": "01 10 30 41 42 06 46",
    "3": "01 10 30 41 42 33 44 45 36 16 05|33 13", "4": "36 30 04 44",
    "5": "40 00 03 33 44 45 36 06", "A": "06 20 46|14 34", "C": "41 30 10 01 05 16 36 45",
    "K": "00 06|40 03 46", "a": "12 32 43 46|44 14 05 16 36 45",
    "b": "00 06|03 12 32 43 45 36 16 05", "c": "43 32 12 03 05 16 36 45",
    "d": "40 46|43 32 12 03 05 16 36 45", "e": "04 44 43 32 12 03 05 16 36 45",
    "f": "40 30 21 26|03 33", "g": "42 47 38 18|43 32 12 03 05 16 36 45",
    "h": "00 06|03 12 32 43 46", "i": "22 26|20 20", "k": "00 06|42 04|13 46", "l": "20 26",
    "m": "02 06|03 12 23 26|23 32 43 46", "n": "02 06|03 12 32 43 46",
    "o": "12 32 43 45 36 16 05 03 12", "p": "02 08|03 12 32 43 45 36 16 05", "r": "02 06|04 22 32",
    "s": "42 12 03 14 34 45 36 06", "t": "20 25 36|12 32", "v": "02 26 42", "y": "02 26|42 17",
    "-": "14 34", ",": "26 17",
}


class Picture:
    def __init__(self):
        self.pixels = [(0, PAPER)] * (WIDTH * HEIGHT)  # (cover in eighths, ink)

    def line(self, x0, y0, x1, y1, colour, width):
        """A stroke with round ends, its edge one pixel soft."""
        reach = width / 2 + 1
        for y in range(floor(min(y0, y1) - reach), floor(max(y0, y1) + reach) + 1):
            for x in range(floor(min(x0, x1) - reach), floor(max(x0, x1) + reach) + 1):
                away = distance(x + 0.5, y + 0.5, x0, y0, x1, y1)
                cover = floor(8 * min(1.0, max(0.0, width / 2 + 0.5 - away)) + 0.5)
                at = y * WIDTH + x
                if cover > 0 and cover >= self.pixels[at][0]:
                    self.pixels[at] = (cover, colour)

    def arrow(self, x0, y0, x1, y1, colour, width, dash=0):
        dx, dy = x1 - x0, y1 - y0
        length = sqrt(dx * dx + dy * dy)
        dx, dy = dx / length, dy / length
        begin = 0.0
        while begin < length:
            end = min(length, begin + dash) if dash else length
            at, to = (x0 + dx * begin, y0 + dy * begin), (x0 + dx * end, y0 + dy * end)
            self.line(*at, *to, colour, width)
            begin = end + dash
        for side in (-1, 1):
            barb = (x1 - 9 * dx + side * 4 * dy, y1 - 9 * dy - side * 4 * dx)
            self.line(x1, y1, *barb, colour, width)

    def text(self, x, y, text, colour, size=1.5, align=0.0, width=1.55):
        """Text that stands on y; align 0: begins at x, 1: ends there, 0.5: x is its middle."""
        x -= align * (len(text) * 5.6 - 1.6) * size
        for letter in text:
            for stroke in GLYPHS[letter].split("|") if letter != " " else ():
                points = [(x + int(i) * size, y + (int(j) - 6) * size) for i, j in stroke.split()]
                for (ax, ay), (bx, by) in zip(points, points[1:]):
                    self.line(ax, ay, bx, by, colour, width)
            x += 5.6 * size

    def png(self):
        inks = sorted(set(self.pixels))
        index = {ink: at for at, ink in enumerate(inks)}
        rows = bytearray()
        for y in range(HEIGHT):
            rows.append(0)  # no filter
            rows += bytes(index[pixel] for pixel in self.pixels[y * WIDTH:(y + 1) * WIDTH])
        header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)  # 8 bits into a palette
        palette = bytes(p + (i - p) * cover // 8 for cover, ink in inks for p, i in zip(PAPER, ink))
        parts = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", deflate(rows)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in parts)


def distance(x, y, x0, y0, x1, y1):
    """From a point to a stretch of line."""
    dx, dy = x1 - x0, y1 - y0
    square = dx * dx + dy * dy
    along = min(1.0, max(0.0, ((x - x0) * dx + (y - y0) * dy) / square)) if square else 0.0
    dx, dy = x - x0 - along * dx, y - y0 - along * dy
    return sqrt(dx * dx + dy * dy)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def deflate(data):
    """A zlib stream (RFC 1950) of one block with the fixed codes (RFC 1951 3.2.6).

    Its only matches are at distance 1, runs of equal bytes: enough for a drawing.
    """
    bits = ["1", "10"]  # last block; fixed codes, the lower bit first
    at = 0
    while at < len(data):
        run = 0
        while at and run < 258 and data[at + run:at + run + 1] == data[at - 1:at]:
            run += 1
        if run >= 3:
            bits.append(length_code(run) + "00000")  # distance 1 is code 0
            at += run
        else:
            bits.append(symbol(data[at]))
            at += 1
    bits.append(symbol(256))
    stream = "".join(bits)
    stream += "0" * (-len(stream) % 8)
    block = bytes(int(stream[i:i + 8][::-1], 2) for i in range(0, len(stream), 8))
    return b"\x78\x01" + block + struct.pack(">I", zlib.adler32(data))


def symbol(code):
    """A literal, end or length code in the fixed Huffman code, first bit first."""
    if code < 144:
        return f"{code + 0x30:08b}"
    if code < 256:
        return f"{code - 144 + 0x190:09b}"
    return f"{code - 256:07b}" if code < 280 else f"{code - 280 + 0xC0:08b}"


def length_code(length):
    """Codes 257 to 285, RFC 1951 3.2.5: four codes for each count of extra bits."""
    if length == 258:
        return symbol(285)
    if length < 11:
        return symbol(254 + length)
    extra = (length - 3).bit_length() - 3
    within = (length - 3) - (4 << extra)
    low = format(within & ((1 << extra) - 1), f"0{extra}b")[::-1]  # extra bits: the lowest first
    return symbol(261 + 4 * extra + (within >> extra)) + low


def ladder():
    """Time runs down. Packet 2 is lost; the acknowledgement of 3 tells; its bytes go again as 5."""
    p = Picture()
    p.text(WIDTH / 2, 26, "one packet lost, its bytes sent again", INK, 2.1, 0.5, 1.8)
    p.text(SENDER_X, 56, "sender", INK, 1.8, 0.5, 1.6)
    p.text(RECEIVER_X, 56, "receiver", INK, 1.8, 0.5, 1.6)
    for x in (SENDER_X, RECEIVER_X):
        p.line(x + 0.5, 66, x + 0.5, 385, INK, 2)
    p.arrow(28.5, 80, 28.5, 374, GREY, 1.4)
    p.text(38, 372, "time", GREY)

    def data(number, y):
        p.text(SENDER_X - 10, y + 4, f"packet {number}", BLUE, align=1.0)
        p.arrow(SENDER_X + 3, y, RECEIVER_X - 3, y + ONE_WAY, BLUE, 2.2)

    def ack(ranges, y):
        p.arrow(RECEIVER_X - 3, y, SENDER_X + 3, y + ONE_WAY, GREEN, 1.5, dash=6)
        p.text(RECEIVER_X + 10, y + 4, f"ACK {ranges}", GREEN)

    sent = [78 + 22 * number for number in range(5)]
    for number in (0, 1, 3, 4):
        data(number, sent[number])
    ack("0-1", sent[1] + ONE_WAY)
    ack("0-1, 3", sent[3] + ONE_WAY)
    ack("0-1, 3-4", sent[4] + ONE_WAY)
    repair = sent[3] + 2 * ONE_WAY + 3
    data(5, repair)
    ack("0-1, 3-5", repair + ONE_WAY)

    p.text(SENDER_X - 10, repair + 20, "the bytes of 2", GREY, 1.3, 1.0)
    p.text(RECEIVER_X + 10, sent[2] + ONE_WAY + 4, "2 never comes", RED, 1.3)
    p.text(RECEIVER_X + 10, repair + ONE_WAY + 20, "nothing is missing", GREY, 1.3)

    p.text(SENDER_X - 10, sent[2] + 4, "packet 2", RED, align=1.0)
    share = 0.56
    x, y = SENDER_X + share * (RECEIVER_X - SENDER_X), sent[2] + share * ONE_WAY
    p.line(SENDER_X + 3, sent[2], x, y, RED, 2.6)
    for side in (-1, 1):
        p.line(x - 7, y - 7 * side, x + 7, y + 7 * side, RED, 3.2)
    return p


def noise(length, state=7117):
    """SplitMix64, low byte first: no program can make it smaller."""
    mask = (1 << 64) - 1
    out = bytearray()
    while len(out) < length:
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        out += struct.pack("<Q", z ^ (z >> 31))
    return bytes(out[:length])


if __name__ == "__main__":
    (HERE / "picture.png").write_bytes(ladder().png())
    (HERE / "noise.bin").write_bytes(noise(64 * 1024))
