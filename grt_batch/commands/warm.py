"""The command that compiles the kernels."""

from __future__ import annotations

from grt_batch.commands import cli


@cli.command()
def warm() -> None:
    """Compile the decoder and keep it on disk, so that the first run starts at once.

    Run by the owner of the installation, it serves all users; on hosts with several kinds of processors, once on each.
    """
    from grt_batch.pipeline.warm import compile_kernels

    compile_kernels()
