"""Machine code is on disk what it was, is linked as often as it is needed, and needs no compiler."""

from __future__ import annotations

import llvmlite.binding as llvm
import pytest

from grt_batch.kernels.machine_code import MachineCode, link

SEVERAL = """
define i32 @several(i64* %out, i64 %a, double %b) {
    %sum = add i64 %a, 1
    store i64 %sum, i64* %out
    %second = getelementptr i64, i64* %out, i64 1
    store double %b, double* %second
    %third = getelementptr i64, i64* %out, i64 2
    store i64 1, i64* %third
    %bad = icmp eq i64 %a, 13
    %status = select i1 %bad, i32 5, i32 0
    ret i32 %status
}
"""
ONE = "define i32 @one(i64* %out, i64 %a) { store i64 %a, i64* %out ret i32 0 }"
NONE = "define i32 @none(i64* %out, i64 %a) { ret i32 0 }"


def compiled(source: str, symbol: str, results: str, several: bool = False) -> MachineCode:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    machine = target.create_target_machine(reloc="static", codemodel="jitdefault")
    return MachineCode(symbol, results, several, (0, 12), machine.emit_object(llvm.parse_assembly(source)))


def test_a_file_holds_what_was_packed() -> None:
    packed = MachineCode("entry.f", "qd?", True, (0, 12), b"\n\0code\n")
    content = b"".join(packed.pack())
    assert MachineCode.unpack(content) == packed
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1
        for wrong in (bytes(damaged), content[:place]):
            with pytest.raises(ValueError, match="damaged"):
                MachineCode.unpack(wrong)


def test_code_takes_and_returns_numbers() -> None:
    several = link(compiled(SEVERAL, "several", "qd?", True), "f", [int, float])
    assert several(4, 0.5) == (5, 0.5, True)
    assert several(-(2**63), -1) == (1 - 2**63, -1.0, True)
    assert link(compiled(ONE, "one", "q"), "f", [int])(-1) == -1
    assert link(compiled(ONE, "one", "Q"), "f", [int])(-1) == 2**64 - 1
    assert link(compiled(NONE, "none", ""), "f", [int])(1) is None


def test_a_status_is_an_error() -> None:
    several = link(compiled(SEVERAL, "several", "qd?", True), "f", [int, float])
    with pytest.raises(RuntimeError, match="kernel f failed with status 5"):
        several(13, 0.5)
