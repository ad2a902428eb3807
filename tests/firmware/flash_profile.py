"""What the flash of a linked image is taken by: every instruction is laid to the innermost function of
core that it is of, however it was inlined, and to that function's file."""

import collections
import re
import subprocess

INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t([0-9a-f]{4}(?: [0-9a-f]{4})?|[0-9a-f]{8}) *\t")
CORE = re.compile(r"(?<!library)/core/src/(.*\.rs):\d+")
LIBRARY = re.compile(r"/(postcard|serde_core|heapless|compiler-builtins|cortex-m|static_cell)\b")
GENERIC = re.compile(r"<impl ([^<>]|<[^<>]*>)*>::")


def profile(image: str) -> tuple[collections.Counter, collections.Counter]:
    """The bytes of each file, and of each function of core."""
    sizes = instructions(image)
    lines = subprocess.run(
        ["arm-none-eabi-addr2line", "--addresses", "--functions", "--inlines", "--demangle"]
        + ["--exe", image],
        capture_output=True,
        check=True,
        input="\n".join(sizes),
        text=True,
    ).stdout.splitlines()
    files, functions = collections.Counter(), collections.Counter()
    for address, frames in chains(lines):
        file, function = owner(frames)
        files[file] += sizes[address]
        functions[f"{file}: {function}"] += sizes[address]
    return files, functions


def instructions(image: str) -> dict[str, int]:
    """The bytes of each instruction, by its address."""
    listing = subprocess.run(
        ["arm-none-eabi-objdump", "--disassemble", image],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    found = (INSTRUCTION.match(line) for line in listing.splitlines())
    return {match[1]: len(match[2].replace(" ", "")) // 2 for match in found if match}


def chains(lines: list[str]):
    """Each address with its frames, the innermost first: a function and a place each."""
    address, frames = None, []
    pending = iter(lines)
    for line in pending:
        if line.startswith("0x"):
            if address is not None:
                yield address, frames
            address, frames = f"{int(line, 16):x}", []
        else:
            frames.append((line, next(pending)))
    if address is not None:
        yield address, frames


def owner(frames: list[tuple[str, str]]) -> tuple[str, str]:
    """The file and the function that an instruction is laid to."""
    for function, place in frames:
        if match := CORE.search(place):
            name = GENERIC.sub("", function)
            return match[1], name.split("::")[-1] if "{{" not in name else name.split("::")[-2]
    for function, place in frames:
        if match := LIBRARY.search(place):
            return match[1], function
    return "the board and the rest", frames[-1][0] if frames else "?"
