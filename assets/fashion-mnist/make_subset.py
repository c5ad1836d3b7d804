#!/usr/bin/env python3
"""Cut the embedded subset out of the full Fashion-MNIST.

    make_subset.py DIR [--out OUT]

DIR holds the four original files, gzipped or not. Of each class the first 800
training and the first 100 test images are kept, in the order in which they
stand in the original. Nothing is drawn at random and no time stamp is stored, so
every run yields the same images, and with the same zlib the same files.
"""

import argparse
import gzip
import pathlib
import struct

CLASSES = 10
PARTS = {"train": 800, "t10k": 100}


def read(folder, name):
    """The bytes of `name`, or of `name`.gz."""
    plain = folder / name
    if plain.exists():
        return plain.read_bytes()
    with gzip.open(folder / (name + ".gz")) as file:
        return file.read()


def first_of_each_class(labels, quota):
    """Indices of the first `quota` images of each class, in file order."""
    seen = [0] * CLASSES
    kept = []
    for index, label in enumerate(labels):
        if seen[label] < quota:
            seen[label] += 1
            kept.append(index)
    assert seen == [quota] * CLASSES, f"too few images of some class: {seen}"
    return kept


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dir", type=pathlib.Path, help="folder of the full data set")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    args = parser.parse_args()

    for part, quota in PARTS.items():
        images_name, labels_name = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
        images, labels = read(args.dir, images_name), read(args.dir, labels_name)

        magic, count, rows, columns = struct.unpack(">4I", images[:16])
        assert magic == 0x803 and len(images) == 16 + count * rows * columns, images_name
        magic, count_of_labels = struct.unpack(">2I", labels[:8])
        assert magic == 0x801 and len(labels) == 8 + count_of_labels, labels_name
        assert count == count_of_labels, f"{count} images, {count_of_labels} labels"

        pixels, size = images[16:], rows * columns
        kept = first_of_each_class(labels[8:], quota)
        subset = {
            images_name: struct.pack(">4I", 0x803, len(kept), rows, columns)
            + b"".join(pixels[i * size : (i + 1) * size] for i in kept),
            labels_name: struct.pack(">2I", 0x801, len(kept)) + bytes(labels[8 + i] for i in kept),
        }
        for name, data in subset.items():
            packed = gzip.compress(data, compresslevel=9, mtime=0)
            (args.out / (name + ".gz")).write_bytes(packed)
            print(f"{name}.gz: {len(kept)} items, {len(packed)} bytes")


if __name__ == "__main__":
    main()
