"""What the banners and the code of an mpirun say of a rank that was lost."""

from __future__ import annotations

import pytest

from grt_batch.ranks.banners import Banners, loss


@pytest.mark.parametrize(
    ("returncode", "banners", "words"),
    [
        (1, Banners(foreign=True), "mpirun ended with code 1, its message is above"),
        (1, Banners(improper=True), "before the end"),
        (4, Banners(signalled="rank 1 was ended"), "rank 1"),
        (0, Banners(), "mpirun ended without an error before the first rank did"),
        (213, Banners(), "code 213"),
        (143, Banners(), "a rank was ended by signal 15 (Terminated)"),
        (-9, Banners(), "mpirun itself was ended by signal 9 (Killed)"),
    ],
)
def test_what_mpirun_says_of_a_loss(returncode: int, banners: Banners, words: str) -> None:
    assert words in loss(returncode, banners)


DASHES = "-" * 74
EQUALS = "=" * 83
OPEN_MPI_KILLED = (
    f"{DASHES}\nmpirun noticed that process rank 1 with PID 7 on node n7\nexited on signal 9 (Killed).\n{DASHES}\n"
)
MPICH_KILLED = (
    f"\n{EQUALS}\n=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\n=   PID 7 RUNNING AT n7\n"
    f"{EQUALS}\nYOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed (signal 9)\nThis.\nSee the FAQ.\n"
)
INTEL_KILLED = (
    f"\n{EQUALS}\n=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\n=   RANK 0 PID 7 RUNNING AT n7\n"
    f"=   KILLED BY SIGNAL: 9 (Killed)\n{EQUALS}\n"
)
ABORTED = "Abort(6) on node 1 (rank 1 in comm 0): application called MPI_Abort(MPI_COMM_WORLD, 6)\n"
EVENT_LOOP = (
    "[warn] Epoll MOD(1) on fd 22 failed. Old events were 6; read change was 0 (none); write change was 2 (del);"
    " close change was 0 (none): Bad file descriptor\n"
)
MPIRUNS_OWN = f"{DASHES}\nThere are not enough slots.\n{DASHES}\n"
UNFINISHED = f"{DASHES}\nno end\n"


@pytest.mark.parametrize(
    ("banner", "left", "signalled"),
    [
        (OPEN_MPI_KILLED, "", "rank 1 on n7 was ended by signal 9 (Killed)"),
        (MPICH_KILLED, "", "a rank on n7 was ended by signal 9 (Killed)"),
        (INTEL_KILLED, "", "a rank on n7 was ended by signal 9 (Killed)"),
        (INTEL_KILLED + INTEL_KILLED.replace("9", "11"), "", "a rank on n7 was ended by signal 11 (Killed)"),
        (ABORTED, "", None),
        (EVENT_LOOP, "", None),
        (EVENT_LOOP + OPEN_MPI_KILLED, "", "rank 1 on n7 was ended by signal 9 (Killed)"),
        (OPEN_MPI_KILLED + EVENT_LOOP, "", "rank 1 on n7 was ended by signal 9 (Killed)"),
        ("[warn] of another kind\n", "[warn] of another kind\n", None),
        (MPIRUNS_OWN, MPIRUNS_OWN, None),
        (UNFINISHED, UNFINISHED, None),
    ],
)
def test_banners_leave_the_output_wherever_it_is_cut(banner: str, left: str, signalled: str | None) -> None:
    text = f"before\n\n- one\nA two\n[three\n{banner}after -"
    for cut in range(len(text)):
        banners = Banners()
        out, rest = banners.split(text[:cut].encode())
        more, rest = banners.split(rest + text[cut:].encode())
        assert (out + more + rest).decode() == f"before\n\n- one\nA two\n[three\n{left}after -"
        assert banners.signalled == signalled


@pytest.mark.parametrize(
    ("lines", "signalled"),
    [(1, None), (2, None), (3, "rank 1 on n7 was ended by signal 9 (Killed)")],
)
def test_a_banner_whose_end_never_comes_leaves_the_output(lines: int, signalled: str | None) -> None:
    banners = Banners()
    out, rest = banners.split(b"before\n" + b"".join(OPEN_MPI_KILLED.encode().splitlines(keepends=True)[:lines]))
    assert (out, banners.close(rest)) == (b"before\n", b"")
    assert banners.signalled == signalled


def test_a_word_of_the_event_loop_that_is_cut_off_leaves_the_output() -> None:
    banners = Banners()
    out, rest = banners.split(f"before\n{EVENT_LOOP[:40]}".encode())
    assert (out, banners.close(rest)) == (b"before\n", b"")


@pytest.mark.parametrize("rest", [UNFINISHED, "-", "A", "[wa", "\n", "", "-" * 75 + "\n"])
def test_what_only_began_like_a_banner_stays(rest: str) -> None:
    assert Banners().close(rest.encode()) == rest.encode()


def test_a_banner_after_a_progress_bar_leaves_the_bar() -> None:
    assert Banners().split(f"\r 40%|## {OPEN_MPI_KILLED}".encode()) == (b"\r 40%|## ", b"")
