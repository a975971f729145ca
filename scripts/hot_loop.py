#!/usr/bin/env python3
"""Shows the generated code of the hot loop, by its size and by what it calls, as Markdown.

    scripts/hot_loop.py [PROGRAM]        target/release/gannet unless said

The loop is that of `gannet echo` on DPDK: the function in which the worker's loop and all that was
inlined into it stand, and what that calls on the way of a plain datagram. A loop over frames is the
smallest loop of such a function in which a header is turned round, which takes byte shuffles
(pshufb, or pshufhw for the ports, or vpermt2b for all of it), or in which the sums of frames of one flow
are made (phaddd), whose replies have the same headers. What is called on its easiest way, the one with the
fewest calls, is called for each packet, or for each four or eight that are turned together. A compiler may
take frames out of their loop; what is round those is the loop over eight frames, whose call is the judge, or
that over frames which are not plain.

Needs objdump (binutils). Exit: 0, 1 if there is a call for each packet or the loop is not found, 2 usage.
"""
import heapq
import re
import subprocess
import sys
from pathlib import Path

WORKER = "drop_in_place<gannet::worker::Worker<gannet::host::Host<gannet::port::dpdk::queue::DpdkQueue>,gannet::echo::Echo>>"
# What takes in frames that are not alike.
EIGHT = "gannet::host::Host<Q>>::run_eight"
# What a plain datagram's way leads through; the rest of what is called is for others.
ON_THE_WAY = (
    "::turn_alike", "turn_flow_avx2", "turn_flow_ssse3", "::turn_others", "turn_front_avx512",
    "turn_front_avx2", "turn_front_ssse3", "::run_eight", "::judge",
    "judge_avx2", "judge_ssse3", "::settle", "send_first", "rx_burst", "tx_burst",
)
# One call for eight frames, and one for a frame that is not plain or is not to be sent back as it came.
FOR_OTHERS = ("::run_eight", "::judge", "judge_avx2", "judge_ssse3", "::take_other", "::conclude")
SHUFFLE = re.compile(r"^(v?pshuf(b|hw)|v?phaddd|vperm[ti]2b)\b")
# Where headers are turned round, besides the worker's loop.
TURNING = (
    "::turn_alike", "turn_flow_avx2", "turn_flow_ssse3", "turn_front_avx512", "turn_front_avx2",
    "turn_front_ssse3", "::run_eight",
)


class Function:
    """A function's name, address, and instructions as (address, text, target, callee)."""

    def __init__(self, name, address):
        self.name, self.address, self.code = name, address, []

    def size(self):
        """Bytes from its first instruction to its last one, included but for that one's operands."""
        return self.code[-1][0] - self.address + 1

    def callees(self):
        return unique(callee for _, _, _, callee in self.code if callee)


def unique(things):
    return list(dict.fromkeys(things))


def output(*command):
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except FileNotFoundError:
        fail(f"{command[0]} is missing: it is in Debian's package binutils")
    except subprocess.CalledProcessError as error:
        fail(error.stderr.strip())


def fail(why):
    print(f"error: {why}", file=sys.stderr)
    sys.exit(1)


def slots(program):
    """Where the slots of indirect calls lead: to an address of ours, or to a name of a library's."""
    found = {}
    for line in output("objdump", "-R", program).splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[1].startswith("R_"):
            ours = re.fullmatch(r"\*ABS\*\+0x([0-9a-f]+)", parts[2])
            found[int(parts[0], 16)] = int(ours[1], 16) if ours else parts[2].split("@")[0]
    return found


def disassembly(program):
    """All functions by their addresses."""
    slot_of, functions, function = slots(program), {}, None
    for line in output("objdump", "-d", "-C", "--no-show-raw-insn", program).splitlines():
        head = re.match(r"^([0-9a-f]+) <(.*)>:$", line)
        if head:
            function = functions[int(head[1], 16)] = Function(head[2], int(head[1], 16))
            continue
        code = re.match(r"^ *([0-9a-f]+):\t(.*)$", line)
        if code and function:
            function.code.append((int(code[1], 16), code[2].strip(), *where(code[2], slot_of)))
    for function in functions.values():
        function.code = [named(instruction, function, functions) for instruction in function.code]
    return functions


def where(text, slot_of):
    """The target of a direct jump or call, and who is called: an address, a name, or "?"."""
    direct = re.match(r"(\w+) +([0-9a-f]+) <", text)
    if direct:
        target = int(direct[2], 16)
        return target, target if direct[1] in ("call", "jmp") else None
    if not re.match(r"(call|jmp) +\*", text):
        return None, None
    slot = re.search(r"# ([0-9a-f]+) <", text)
    if slot and int(slot[1], 16) in slot_of:
        return None, slot_of[int(slot[1], 16)]
    return None, "?" if text.startswith("call") else None


def named(instruction, function, functions):
    """A jump within the function calls nobody; an address that is called gets its name."""
    address, text, target, callee = instruction
    end = function.code[-1][0]
    if target is not None and function.address <= target <= end and not text.startswith("call"):
        return address, text, target, None
    if isinstance(callee, int):
        callee = functions[callee] if callee in functions else f"{callee:#x}"
    return address, text, None, callee


def title(callee):
    name = callee.name if isinstance(callee, Function) else callee
    return "an address in a register or table" if name == "?" else name


def short(name):
    """Without the paths of types: the last two parts."""
    name = re.sub(r"<impl ([\w:]+)<Q>>", lambda match: match[1].split("::")[-1], name)
    name = re.sub(r"^<([\w:]+)(<\w+>)? as [\w:]+>", lambda match: match[1].split("::")[-1], name)
    parts = re.sub(r"<.*>", "", name).replace("::{{closure}}", "").split("::")
    return "::".join(part for part in parts[-2:] if part)


def successors(function):
    """For each instruction the indices of those that may come next, calls done."""
    index_of = {instruction[0]: index for index, instruction in enumerate(function.code)}
    after = []
    for index, (_, text, target, _) in enumerate(function.code):
        leaves = re.match(r"(jmp|ret|ud2)\b", text) is not None
        next_ones = [index + 1] if not leaves and index + 1 < len(function.code) else []
        after.append(next_ones + ([index_of[target]] if target in index_of else []))
    return after


def reversed_graph(after):
    before = [[] for _ in after]
    for index, next_ones in enumerate(after):
        for next_one in next_ones:
            before[next_one].append(index)
    return before


def dominators(after, before):
    """For each instruction the last one before it that every way to it leads through (Cooper, Harvey and
    Kennedy, 2001); None for what no way leads to."""
    order, seen, stack = [], {0}, [(0, iter(after[0]))]
    while stack:
        index, rest = stack[-1]
        step = next((one for one in rest if one not in seen), None)
        if step is None:
            order.append(stack.pop()[0])
        else:
            seen.add(step)
            stack.append((step, iter(after[step])))
    rank = {index: rank for rank, index in enumerate(order)}
    immediate = [None] * len(after)
    immediate[0], changed = 0, True
    while changed:
        changed = False
        for index in reversed(order[:-1]):
            known = [one for one in before[index] if immediate[one] is not None]
            new = known[0]
            for other in known[1:]:
                while new != other:
                    while rank[new] < rank[other]:
                        new = immediate[new]
                    while rank[other] < rank[new]:
                        other = immediate[other]
            changed, immediate[index] = changed or immediate[index] != new, new
    return immediate


def loops(function):
    """Each loop as its head and its instructions, by index: all from which its head is reached again
    with no way in but the head."""
    after = successors(function)
    before = reversed_graph(after)
    immediate = dominators(after, before)

    def dominates(head, index):
        while index not in (head, 0) and index is not None:
            index = immediate[index]
        return index == head

    bodies = {}
    for tail, next_ones in enumerate(after):
        for head in next_ones:
            if immediate[tail] is not None and dominates(head, tail):
                body, left = bodies.setdefault(head, {head}), [tail]
                while left:
                    index = left.pop()
                    if index not in body:
                        body.add(index)
                        left += before[index]
    return after, bodies


def easiest(function, after, allowed, start, end):
    """The way from one instruction to another with the fewest calls, and of these the shortest: how many
    instructions it has, the last one included, and whom it calls; None if there is none."""
    best, left, done = {}, [(0, 0, start, ())], set()
    while left:
        calls, steps, index, callees = heapq.heappop(left)
        if index == end and steps:
            return steps, list(callees)
        if index in done and steps:
            continue
        done.add(index)
        callee = function.code[index][3]
        callees += (title(callee),) if callee else ()
        for one in after[index]:
            cost = (calls + bool(callee), steps + 1)
            if (one in allowed or one == end) and cost < best.get(one, (len(after), 0)):
                best[one] = cost
                heapq.heappush(left, (*cost, one, callees))
    return None


class FrameLoop:
    """The smallest loop around a byte shuffle: what it may call, and the easiest way round it that
    turns a frame."""

    def __init__(self, function, after, head, body, shuffle):
        self.body = sorted(body)
        self.callees = unique(function.code[index][3] for index in self.body if function.code[index][3])
        there = easiest(function, after, body, head, shuffle)
        back = easiest(function, after, body, shuffle, head)
        self.way = there[0] + back[0]
        self.calls = unique(there[1] + back[1])


def loops_over_frames(function):
    after, bodies = loops(function)
    found = {}
    for index, (_, text, _, _) in enumerate(function.code):
        around = sorted((len(body), head) for head, body in bodies.items() if index in body)
        if SHUFFLE.match(text) and around:
            head = around[0][1]
            found.setdefault(head, FrameLoop(function, after, head, bodies[head], index))
    return list(found.values())


def bytes_of(function, body):
    addresses = [instruction[0] for instruction in function.code] + [function.code[-1][0] + 1]
    return sum(addresses[index + 1] - addresses[index] for index in body)


def on_the_way(root):
    """The functions that a plain datagram's way leads through, in the order that they are called."""
    found, left = [], [root]
    while left:
        function = left.pop(0)
        if function in found:
            continue
        found.append(function)
        callees = [callee for callee in function.callees() if isinstance(callee, Function)]
        left += [callee for callee in callees if any(part in callee.name for part in ON_THE_WAY)]
    return found


def eights(root):
    """Where a worker's loop takes in frames that are not alike."""
    return [callee for callee in root.callees() if isinstance(callee, Function) and EIGHT in callee.name]


def listed(callees):
    names = unique(f"`{short(title(callee))}`" if callee != "?" else title(callee) for callee in callees)
    return ", ".join(names) or "nothing"


def main():
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    program = sys.argv[1] if len(sys.argv) == 2 else str(Path(__file__).parent.parent / "target/release/gannet")
    functions = disassembly(program)
    roots = [
        function
        for function in functions.values()
        if {WORKER in title(callee) for callee in function.callees()} == {True, False}
        and any(EIGHT in title(callee) for callee in function.callees())
    ]
    if not roots:
        fail(f"{program} has no worker loop of an echo on DPDK: build it with --release and default features")
    # Services whose values are dropped alike may share that function. Of those that send frames back, which are
    # turned round one by one too, an echo does the least.
    roots = [function for function in roots if any(loops_over_frames(eight) for eight in eights(function))]
    if not roots:
        fail("no loop over frames is found in the worker's loop")
    root = min(roots, key=lambda function: len(function.code))
    turning = [function for function in on_the_way(root) if function is root or function.name.endswith(TURNING)]
    frames = [(function, loop) for function in turning for loop in loops_over_frames(function)]
    print("| loop over frames | bytes | instructions | on its easiest way | calls on that | all that it may call |")
    print("|---|---|---|---|---|---|")
    for function, loop in frames:
        name = "the worker's" if function is root else f"`{short(function.name)}`"
        sizes = f"{bytes_of(function, loop.body)} | {len(loop.body)} | {loop.way}"
        print(f"| {name} | {sizes} | **{listed(loop.calls)}** | {listed(loop.callees)} |")
    print("\n| function | bytes | instructions | calls |\n|---|---|---|---|")
    for function in on_the_way(root):
        name = "the worker's loop, with all that is inlined" if function is root else f"`{short(function.name)}`"
        print(f"| {name} | {function.size()} | {len(function.code)} | {listed(function.callees())} |")
    per_packet = [call for _, loop in frames for call in loop.calls if not call.endswith(FOR_OTHERS)]
    if per_packet or all(loop.calls for _, loop in frames):
        fail(f"plain frames make calls in a loop over frames: {listed(unique(per_packet))}")

if __name__ == "__main__":
    main()
