"""A bound of the stack, from the linked image alone.

What a function takes is read off its instructions: everything that it pushes, and everything that it
subtracts from the stack pointer, on all of its paths together. What it calls is read off its
branches; a call through a register may go to every function whose address is anywhere in the image.
So the bound may be too high, and is never too low. Recursion has no bound and is an error.
"""

import re
import subprocess

FUNCTION = re.compile(r"^([0-9a-f]{8}) <(.*)>:$")
INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t(\S+)(?:\t(.*))?$")
TARGET = re.compile(r"([0-9a-f]+) <")
REGISTERS = re.compile(r"\{(.*)\}")
IMMEDIATE = re.compile(r"#(-?\d+)")


# What a panic of the program that measures does is not followed: it ends the program.
ENDS = re.compile(r"^core::panicking::|_fail(ed)?$|rust_begin_unwind")


class Function:
    """One function: what it takes itself, and whom it calls."""

    def __init__(self, address: int, name: str):
        self.address = address
        self.name = name
        self.frame = 0
        self.callees: set[int] = set()
        self.calls_registers = False


def read(image: str) -> dict[int, Function]:
    """All functions of an image, by address."""
    functions: dict[int, Function] = {}
    listing = subprocess.run(
        ["arm-none-eabi-objdump", "--disassemble", "--demangle", "--no-show-raw-insn", image],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    halves: dict[str, int] = {}
    taken = words(image)
    for line in listing.splitlines():
        if match := FUNCTION.match(line):
            function = functions.setdefault(int(match[1], 16), Function(int(match[1], 16), match[2]))
        elif match := INSTRUCTION.match(line):
            operation, operands = match[2], (match[3] or "").split("@")[0].split(";")[0].strip()
            step(function, operation.removesuffix(".w").removesuffix(".n"), operands)
            taken |= addresses(operation, operands, halves)
    resolve(functions, taken)
    return functions


def step(function: Function, operation: str, operands: str) -> None:
    """Adds what one instruction takes or calls."""
    if operation in ("push", "vpush") or (operation == "stmdb" and operands.startswith("sp!")):
        size = 8 if operation == "vpush" and "d" in operands else 4
        function.frame += size * len(REGISTERS.search(operands)[1].split(","))
    elif operation in ("sub", "subw", "sub.w") and operands.startswith("sp,"):
        function.frame += int(IMMEDIATE.search(operands)[1])
    elif operation in ("str", "strd") and (match := re.search(r"\[sp, #-(\d+)\]!", operands)):
        function.frame += int(match[1])
    elif re.fullmatch(r"bl|b|b(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al)|cbn?z", operation):
        match = TARGET.search(operands)
        # A branch to its own start is a loop and no call.
        if match and (operation == "bl" or int(match[1], 16) != function.address):
            function.callees.add(int(match[1], 16))
    elif operation == "blx" or (operation == "bx" and operands != "lr"):
        function.calls_registers = True
    elif re.match(r"(mov|add|ldr|ldm|pop).*", operation) and operands.startswith("sp,"):
        if operation not in ("add", "addw", "add.w"):
            raise SystemExit(f"{function.name} moves the stack pointer: {operation} {operands}")


def addresses(operation: str, operands: str, halves: dict[str, int]) -> set[int]:
    """The address that an instruction makes or a word of data holds, if it may be one."""
    if operation == ".word":
        return {int(operands.split()[0], 16)}
    if operation in ("movw", "movt") and (match := IMMEDIATE.search(operands)):
        register, half = operands.split(",")[0], int(match[1])
        if operation == "movw":
            halves[register] = half
        elif register in halves:
            return {half << 16 | halves[register]}
    return set()


def resolve(functions: dict[int, Function], taken: set[int]) -> None:
    """Leaves only calls of functions, and adds those that may be called through a register."""
    indirect = {address for address in functions if address | 1 in taken}
    ends = {address for address, function in functions.items() if ENDS.search(function.name)}
    for function in functions.values():
        function.callees &= functions.keys() - ends
        if function.calls_registers:
            function.callees |= indirect


def words(image: str) -> set[int]:
    """All words of the image's constant data, where tables of functions are."""
    dump = subprocess.run(
        ["arm-none-eabi-objdump", "--full-contents", "--section=.rodata", image],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    found = set()
    for match in re.finditer(r"^ [0-9a-f]+ ((?:[0-9a-f]{8} )+)", dump, re.MULTILINE):
        row = bytes.fromhex(match[1])
        found |= {int.from_bytes(row[at : at + 4], "little") for at in range(0, len(row), 4)}
    return found


def deepest(functions: dict[int, Function], name: str) -> tuple[int, list[Function]]:
    """The most bytes of stack below the caller of a function, and the path that takes them."""
    known: dict[int, tuple[int, list[Function]]] = {}

    def visit(address: int, path: tuple[int, ...]) -> tuple[int, list[Function]]:
        if address in path:
            names = " -> ".join(functions[step].name for step in (*path, address))
            raise SystemExit(f"no bound of the stack: {names}")
        if address not in known:
            function = functions[address]
            below = (visit(callee, (*path, address)) for callee in function.callees)
            most, rest = max(below, key=lambda found: found[0], default=(0, []))
            known[address] = (function.frame + most, [function, *rest])
        return known[address]

    roots = [address for address, function in functions.items() if function.name.endswith(name)]
    if len(roots) != 1:
        raise SystemExit(f"{len(roots)} functions are called {name}")
    return visit(roots[0], ())
