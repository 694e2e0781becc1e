#!/usr/bin/env python3
"""`tenon tokenize` against the tokenizers package, on the lines of a file and on random Unicode text.
Usage: tokenizer.py TENON VOCAB FILE     Exit code 77: the package is not here."""
import random
import subprocess
import sys

try:
    from tokenizers import BertWordPieceTokenizer
except ImportError:
    print("skipped: the tokenizers package is not installed")
    sys.exit(77)

tenon, vocab, path = sys.argv[1:]
# Where scripts, marks, blanks, controls and the edges of the CJK blocks lie.
RANGES = [(0x20, 0x7e), (0xa0, 0x24f), (0x300, 0x36f), (0x370, 0x5ff), (0x600, 0x6ff), (0x900, 0x97f), (0xe00, 0xe7f),
          (0x1e00, 0x1fff), (0x2000, 0x206f), (0x20a0, 0x20bf), (0x2e80, 0x2fdf), (0x3000, 0x30ff), (0x33f0, 0x3410),
          (0x4e00, 0x9fff), (0x9ff0, 0xa010), (0xac00, 0xd7a3), (0xf8f0, 0xfb06), (0xfe30, 0xfe6f), (0xff00, 0xffef),
          (0x1f300, 0x1f64f), (0x1fff0, 0x20010), (0x2a6d0, 0x2a710), (0x2f7f0, 0x2fa20)]
random.seed(1)


def text():
    parts = []
    for _ in range(random.randrange(1, 12)):
        low, high = random.choice(RANGES)
        parts.append("".join(chr(random.randrange(low, high + 1)) for _ in range(random.randrange(1, 8))))
    return random.choice(["", " "]).join(parts)


lines = [line.split("\t")[0] for line in open(path, encoding="utf-8").read().split("\n") if line]
lines += [text() for _ in range(5000)]
lines += ["[MASK] of[SEP]things[CLS]", "a" * 99, "a" * 100, "a" * 101, "unaffable", "ÀÉ îõ ñ"]
# One line of input is one text.
lines = [line for line in lines if not set(line) & set("\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\0")]
checked = 0
for lower in True, False:
    theirs = BertWordPieceTokenizer(vocab, lowercase=lower)
    flags = [] if lower else ["--keep-case"]
    out = subprocess.run([tenon, "tokenize", f"--vocab={vocab}", *flags], input="\n".join(lines) + "\n", text=True,
                         encoding="utf-8", capture_output=True, check=True).stdout.split("\n")
    assert len(out) == len(lines) + 1, f"{len(out) - 1} lines out for {len(lines)} in"
    for line, got in zip(lines, out):
        want = theirs.encode(line).ids
        if [int(word) for word in got.split()] != want:
            sys.exit(f"lower={lower} {line!r}: {got} instead of {want}")
        checked += 1
print(f"{checked} texts give the ids of the tokenizers package")
