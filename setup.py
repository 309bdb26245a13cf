"""The CPU engine's kernel, in C. Where it cannot be compiled, the package installs without it."""

from pathlib import Path

from setuptools import Extension, setup

KERNEL = Path("musicmed_live/musicgen/kernel")

setup(
    ext_modules=[
        Extension(
            "musicmed_live.musicgen._kernel",
            sources=[str(source) for source in sorted(KERNEL.glob("*.c"))],
            depends=[str(header) for header in sorted(KERNEL.glob("*.h"))],
            extra_compile_args=[
                "-std=gnu11",
                "-O3",
                "-ffp-contract=off",  # the same numbers whatever the instruction set
                "-fwrapv",  # sums wrap at 32 bits
                "-fvisibility=hidden",
                "-Wno-psabi",  # vectors are passed between inlined functions only
                "-pthread",
            ],
            extra_link_args=["-pthread", "-lm"],
            optional=True,
        )
    ]
)
